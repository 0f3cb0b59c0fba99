"""``--plot``: the curve as SVG or PNG, made of the content of grace.json; matplotlib is an extra.

The same table gives the same bytes with the same matplotlib.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from halfopen.errors import InputError, reason_of

SUFFIXES = (".svg", ".png")


def check(where: Path) -> None:
    """Raise InputError where it is no place for a plot, or matplotlib is missing: before anything is started."""
    try:
        why = _unfit(where)
    except OSError as error:
        why = f"{reason_of(error)}; name a place that can be written to"
    if why:
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
    if where.suffix and where.suffix not in SUFFIXES and not where.is_dir():
        return "a file ends in .svg or .png; a name without a dot is a folder"
    there = next(one for one in (where, *where.parents) if one.exists())
    if not there.is_dir() and not (there == where and where.suffix):
        return f"{str(there)!r} is a file; a folder is wanted there, or another name"
    return "" if os.access(there, os.W_OK) else f"{str(there)!r} cannot be written to; name a place that can"


def write(where: Path, table: Mapping[str, Any]) -> list[str]:
    """Write one file with all plots, or into a folder one for each; a plot without anything in it is left out.

    Gives a line on each: where it is, or why it is not. Raises InputError.
    """
    check(where)
    try:
        return _into_file(where, table) if where.suffix and not where.is_dir() else _into_folder(where, table)
    except OSError as error:
        raise InputError(f"--plot {str(where)!r} cannot be written: {reason_of(error)}") from None


def _into_file(file: Path, table: Mapping[str, Any]) -> list[str]:
    from halfopen.grace import drawing  # noqa: PLC0415 (its matplotlib is an extra, and a second to import)

    there = [plot for plot in drawing.PLOTS if plot.has(table)]
    if there:
        file.parent.mkdir(parents=True, exist_ok=True)
        drawing.write(there, table, file)
    left_out = [f"{file} is without {plot.name}: {plot.missing}" for plot in drawing.PLOTS if plot not in there]
    return [str(file), *left_out] if there else [f"{file} is not written: nothing is known yet"]


def _into_folder(folder: Path, table: Mapping[str, Any]) -> list[str]:
    from halfopen.grace import drawing  # noqa: PLC0415 (as above)

    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for plot in drawing.PLOTS:
        file = folder / f"grace-{plot.name}.svg"
        if plot.has(table):
            drawing.write([plot], table, file)
        older = ", and what is there is older" if file.exists() else ""
        lines.append(str(file) if plot.has(table) else f"{file} is not written{older}: {plot.missing}")
    return lines
