"""Download and unpack the distribution's packages without root (apt-get(8), dpkg-deb(1))."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from halfopen.netns.lab_errors import GuestError


def candidate(package: str, instead: str, options: Sequence[str]) -> str:
    """Return the version that apt would install; raises GuestError, which names an alternative ``instead`` of apt.

    ``options``, here and below, are apt's: for an apt that uses other suites than the machine's own.
    """
    offered = re.search(r"Candidate: (\d\S*)", ask("apt-cache", *options, "policy", package))
    if offered is None:
        raise GuestError(f"apt has no candidate for {package}; run: sudo apt-get update, or {instead}")
    return offered[1]


def download(package: str, version: str, place: Path, options: Sequence[str]) -> Path:
    """Download a package into the folder ``place`` and return the file; raises GuestError."""
    command = ["apt-get", *options, "download", f"{package}={version}"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    if done.returncode:
        # Apt's last lines are warnings, or advice that does not fit.
        errors = re.findall(r"^E: (.*\S)", done.stderr, re.MULTILINE)
        raise GuestError(
            f"downloading {package} {version} failed: {errors[0] if errors else _line(done.stderr, -1)}; "
            "is there a network? if the lists of packages are old, run: sudo apt-get update"
        )
    return next(place.glob("*.deb"))


def unpack(archive: Path, into: Path) -> None:
    """Unpack a package's files into a folder; raises GuestError."""
    if shutil.which("dpkg-deb") is None:
        raise GuestError(f"unpacking {archive.name} needs dpkg-deb; install the package dpkg")
    run(["dpkg-deb", "-x", str(archive), str(into)], into.parent, f"unpacking {archive.name}")


def ask(*command: str) -> str:
    """Return a command's output, in English, whatever its exit code."""
    environment = os.environ | {"LC_ALL": "C"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment).stdout


def run(command: list[str], place: Path, what: str, line: int = -1) -> None:
    """Run a command in the folder ``place``; raises GuestError with one ``line`` of its output, by default the last."""
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    if done.returncode:
        raise GuestError(f"{what} failed with exit code {done.returncode}: {_line(done.stderr or done.stdout, line)}")


def _line(text: str, number: int) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[number] if lines else "no output"
