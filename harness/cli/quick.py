"""The console script. It answers ``--version`` before it imports anything else."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import halfopen


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words == ["--version"] and _print_version():
        sys.exit(0)
    sys.exit(importlib.import_module("halfopen.cli.app").call(words))


def _print_version() -> bool:
    """Print the version; False if that fails, so that the application tries again and explains the error."""
    try:
        print(f"halfopen {halfopen.__version__}", flush=True)
    except OSError:
        return False
    return True
