"""Download and unpack the distribution's packages without root (apt-get(8), dpkg-deb(1))."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from halfopen.netns.lab_errors import GuestError


def candidate(package: str, instead: str, options: Sequence[str]) -> str:
    """Return the version that apt would install; raises GuestError, which names an alternative ``instead`` of apt.

    ``options``, here and below, are apt's: for an apt that uses other suites than the machine's own.
    """
    found = re.search(r"Candidate: (\d\S*)", ask("apt-cache", *options, "policy", package))
    if found is None:
        raise GuestError(f"apt has no candidate for {package}; run: sudo apt-get update, or {instead}")
    return found[1]


def require_apt(instead: str) -> None:
    """Raise GuestError on a machine without apt."""
    if shutil.which("apt-cache") is None:
        raise GuestError(f"this is no Debian or Ubuntu (no apt-cache); {instead}")


def download(package: str, version: str, place: Path, options: Sequence[str]) -> Path:
    """Download a package into the folder ``place`` and return the file; raises GuestError."""
    command = ["apt-get", *options, "download", f"{package}={version}"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    if done.returncode:
        raise GuestError(
            f"downloading {package} {version} failed: {_apts_reason(done.stderr)}; "
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


def last_line(text: str) -> str:
    """Return the last line that is not empty."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no output")


def first_line(text: str) -> str:
    """Return the first line that is not empty: the cause, if later lines are only its consequences."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "no output")


def run(command: list[str], place: Path, what: str, reason: Callable[[str], str] = last_line) -> None:
    """Run a command in the folder ``place``; raises GuestError with the ``reason`` taken from its output."""
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    if done.returncode:
        raise GuestError(f"{what} failed with exit code {done.returncode}: {reason(done.stderr or done.stdout)}")


def _apts_reason(text: str) -> str:
    """Return apt's first error; its last lines are warnings, or advice that does not fit."""
    errors = re.findall(r"^E: (.*\S)", text, re.MULTILINE)
    return errors[0] if errors else last_line(text)
