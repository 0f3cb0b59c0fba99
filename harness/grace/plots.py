"""``--plot``: draw the curve as SVG or PNG from the content of grace.json. matplotlib is an extra.

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
    """Raise InputError if ``where`` cannot hold a plot, or matplotlib is missing. Called before anything starts."""
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
    """Return why no plot can be written to it, or an empty string."""
    if where == Path():  # an empty word too
        return "name a folder or a file; for the folder you are in, its whole path"
    if where.suffix and where.suffix not in SUFFIXES and not where.is_dir():
        return "a file ends in .svg or .png; a name without a dot is a folder"
    there = next(one for one in (where, *where.parents) if one.exists())
    if not there.is_dir() and not (there == where and where.suffix):
        return f"{str(there)!r} is a file; a folder is wanted there, or another name"
    return "" if os.access(there, os.W_OK) else f"{str(there)!r} cannot be written to; name a place that can"


def write(where: Path, table: Mapping[str, Any]) -> list[str]:
    """Write all plots into one file, or each into its own file in a folder. Plots without data are left out.

    Returns a line for each plot: its file, or the reason why it is left out. Raises InputError.
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
