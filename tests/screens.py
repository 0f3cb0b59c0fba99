"""Whole screens: what is printed is compared with a file, to the last space and colour.

The files are written by the tests themselves where ``HALFOPEN_RENEW_SCREENS`` is set; read them before they are kept.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from rich.console import Console

WIDTHS = (80, 120)
_RENEW = "HALFOPEN_RENEW_SCREENS"

#: A test of this mark is asked for each width that is promised, with and without colour.
every_way = pytest.mark.parametrize(
    ("width", "colour"), [(width, colour) for width in WIDTHS for colour in (False, True)], ids=str
)


def console(width: int, *, colour: bool) -> tuple[Console, io.StringIO]:
    """A console as the commands make it, on a terminal of this width, and what is written to it."""
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


def compare(folder: Path, name: str, width: int, written: str, *, colour: bool) -> None:
    """Fail unless this is what the folder's file has for the width, with or without colour."""
    file = folder / f"{name}-{width}{'-colour' if colour else ''}.txt"
    shown = written.replace("\x1b", "␛") if colour else written
    if os.environ.get(_RENEW):
        file.parent.mkdir(exist_ok=True)
        file.write_text(shown, encoding="utf-8")
    assert shown == file.read_text(encoding="utf-8"), f"not as {file} has it; {_RENEW}=1 writes it anew"
