"""``--plot``: the curve as SVG or PNG, made of the content of grace.json; matplotlib is an extra.

The same table gives the same bytes with the same matplotlib.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import InputError, reason_of

SUFFIXES = (".svg", ".png")
#: What is written into a folder.
FRONTIER, OUTAGES, LATENCY = "grace-frontier.svg", "grace-outages.svg", "grace-latency.svg"


def check(where: Path) -> None:
    """Raise InputError where it is no place for a plot, or matplotlib is missing: before anything is started."""
    if why := _unfit(where):
        raise InputError(f"--plot {str(where)!r}: {why}")
    try:
        import matplotlib.figure  # noqa: F401, PLC0415 (an extra)
    except ImportError:
        raise InputError(
            "--plot needs the matplotlib package; install it with: pip install 'halfopen[plots]'"
        ) from None


def _unfit(where: Path) -> str:
    """Why it is no place for a plot; empty if it is one."""
    if where == Path():  # of an empty word, too
        return "name a folder or a file; for the folder you are in, its whole path"
    if where.is_dir():
        return ""
    if where.suffix and where.suffix not in SUFFIXES:
        return "a file ends in .svg or .png; a name without a dot is a folder"
    if where.suffix:
        return "" if where.parent.is_dir() else f"there is no folder {str(where.parent)!r}"
    there = next(one for one in (where, *where.parents) if one.exists())
    return "" if there.is_dir() else f"{str(there)!r} is a file; a folder is wanted there, or another name"


def write(where: Path, table: Mapping[str, Any]) -> list[Path]:
    """Write one file with all plots, or into a folder one for each; gives what was written. Raises InputError."""
    check(where)
    from harness.grace import drawing  # noqa: PLC0415 (its matplotlib is an extra, and a second to import)

    try:
        if where.suffix in SUFFIXES and not where.is_dir():
            drawing.all_in_one(table, where)
            return [where]
        where.mkdir(parents=True, exist_ok=True)
        files = {where / FRONTIER: drawing.frontier, where / OUTAGES: drawing.outages, where / LATENCY: drawing.latency}
        return [file for file, draw in files.items() if drawing.alone(draw, table, file)]
    except OSError as error:
        raise InputError(f"--plot {str(where)!r} cannot be written: {reason_of(error)}") from None
