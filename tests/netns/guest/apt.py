"""Packages without a network: a private apt with a single package, and a small user-mode-linux."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

VERSION = "6.9um1+b2"


def package(place: Path, *, without: str = "") -> Path:
    """Make a package laid out as Debian's, without the part named."""
    tree = place / "tree"
    contents = {
        "DEBIAN/control": f"Package: user-mode-linux\nVersion: {VERSION}\nArchitecture: all\n"
        "Maintainer: Nobody <nobody@example.invalid>\nDescription: a small one\n",
        "usr/bin/linux.uml": "a kernel",
        "usr/lib/uml/modules/6.9.7/modules.dep": "kernel/a.ko:\n",
        "usr/lib/uml/modules/6.9.7/kernel/a.ko": "a module",
    }
    for name, text in contents.items():
        if name != without:
            path = tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    made = place / f"user-mode-linux_{VERSION}_all.deb"
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


POLICY = f"printf 'user-mode-linux:\\n  Installed: (none)\\n  Candidate: {VERSION}\\n'"
