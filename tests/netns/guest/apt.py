"""Packages without a network: a private apt, and a small package of a kernel's source."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

VERSION = "6.9.7-1~bpo1"


def package(place: Path) -> Path:
    """Make a package laid out as Debian's linux-source-6.9."""
    tree = place / "tree"
    contents = {
        "DEBIAN/control": f"Package: linux-source-6.9\nVersion: {VERSION}\nArchitecture: all\n"
        "Maintainer: Nobody <nobody@example.invalid>\nDescription: a small one\n",
        "usr/src/linux-source-6.9.tar.xz": "a source",
    }
    for name, text in contents.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    made = place / f"linux-source-6.9_{VERSION}_all.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", str(tree), str(made)], check=True, capture_output=True)
    return made


def pretend(monkeypatch: pytest.MonkeyPatch, place: Path, *, policy: str, download: str) -> Path:
    """Put these shell scripts first in PATH as apt-cache and apt-get. Return the file that records their calls."""
    programs, calls = place / "programs", place / "calls"
    programs.mkdir()
    calls.touch()
    for name, body in (("apt-cache", policy), ("apt-get", download)):
        program = programs / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >>{calls}\n{body}\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return calls
