"""A capture as tshark reads it."""

from __future__ import annotations

import subprocess
from pathlib import Path


def read(file: Path, *fields: str, only: str = "") -> list[list[str]]:
    """Return a row of fields for each entry that passes a display filter. Fails on any complaint of tshark's."""
    command = ["tshark", "-n", "-r", str(file), "-T", "fields", "-E", "separator=/t"]
    command += [word for field in fields for word in ("-e", field)]
    ran = subprocess.run([*command, "-Y", only] if only else command, capture_output=True, text=True, check=False)
    complaints = [line for line in ran.stderr.splitlines() if "This could be dangerous" not in line]
    assert (ran.returncode, complaints) == (0, []), ran.stderr
    return [line.split("\t") for line in ran.stdout.splitlines()]


def malformed(file: Path) -> list[list[str]]:
    """Return the malformed packets. tshark counts retransmissions among them, which are left out here."""
    only = "(_ws.malformed || _ws.expert.severity == error) && !tcp.analysis.retransmission"
    return read(file, "frame.number", "_ws.expert.message", only=only)
