"""A capture as tshark reads it."""

from __future__ import annotations

import subprocess
from pathlib import Path


def read(file: Path, *fields: str, only: str = "") -> list[list[str]]:
    """A row of fields for each packet and other entry that a display filter leaves; fails on any complaint."""
    command = ["tshark", "-n", "-r", str(file), "-T", "fields", "-E", "separator=/t"]
    command += [word for field in fields for word in ("-e", field)]
    ran = subprocess.run([*command, "-Y", only] if only else command, capture_output=True, text=True, check=False)
    complaints = [line for line in ran.stderr.splitlines() if "This could be dangerous" not in line]
    assert (ran.returncode, complaints) == (0, []), ran.stderr
    return [line.split("\t") for line in ran.stdout.splitlines()]


def malformed(file: Path) -> list[list[str]]:
    """The packets that it cannot make sense of; what was sent twice it counts among them, which is left out here."""
    only = "(_ws.malformed || _ws.expert.severity == error) && !tcp.analysis.retransmission"
    return read(file, "frame.number", "_ws.expert.message", only=only)
