"""Whole screens: output is compared with a file, to the last space and colour.

With ``HALFOPEN_RENEW_SCREENS`` set, the tests write the files themselves. Read them before you keep them.
"""

from __future__ import annotations

import difflib
import io
import os
from pathlib import Path

import pytest
from rich.console import Console

WIDTHS = (80, 120)
_RENEW = "HALFOPEN_RENEW_SCREENS"

#: Runs a test for each supported width, with and without colour.
every_way = pytest.mark.parametrize(
    ("width", "colour"), [(width, colour) for width in WIDTHS for colour in (False, True)], ids=str
)


def console(width: int, *, colour: bool) -> tuple[Console, io.StringIO]:
    """Return a console as the commands make it, on a terminal of this width, and its output."""
    written = io.StringIO()
    made = Console(
        file=written,
        width=width,
        height=24,
        highlight=False,
        force_terminal=colour,
        color_system="standard" if colour else None,
        no_color=not colour,
        legacy_windows=False,
        _environ={},
    )
    return made, written


def renewed(file: Path, shown: str) -> None:
    """Fail unless the output equals the file, which is written anew on request."""
    if os.environ.get(_RENEW):
        file.parent.mkdir(exist_ok=True)
        file.write_text(shown, encoding="utf-8")
    expected = file.read_text(encoding="utf-8")
    differences = "\n".join(difflib.unified_diff(expected.splitlines(), shown.splitlines(), lineterm=""))
    assert shown == expected, f"not as {file} has it; {_RENEW}=1 writes it anew:\n{differences}"


def compare(folder: Path, name: str, width: int, written: str, *, colour: bool) -> None:
    """Fail unless the output equals the folder's file for the width, with or without colour."""
    file = folder / f"{name}-{width}{'-colour' if colour else ''}.txt"
    renewed(file, written.replace("\x1b", "␛") if colour else written)
