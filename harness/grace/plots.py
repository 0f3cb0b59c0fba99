"""``--plot``: the curve as SVG or PNG, made of the content of grace.json; matplotlib is an extra.

The same table gives the same bytes with the same matplotlib.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import InputError

SUFFIXES = (".svg", ".png")
#: What is written into a folder.
FRONTIER, OUTAGES, LATENCY = "grace-frontier.svg", "grace-outages.svg", "grace-latency.svg"


def check(where: Path) -> None:
    """Raise InputError where it is no place for a plot, or matplotlib is missing: before anything is started."""
    if where.suffix and not where.is_dir() and where.suffix not in SUFFIXES:
        raise InputError(f"--plot {str(where)!r}: a file ends in .svg or .png; a name without a dot is a folder")
    if not where.is_dir() and where.suffix and not where.parent.is_dir():
        raise InputError(f"--plot {str(where)!r}: there is no folder {str(where.parent)!r}")
    try:
        import matplotlib.figure  # noqa: F401, PLC0415 (an extra)
    except ImportError:
        raise InputError(
            "--plot needs the matplotlib package; install it with: pip install 'halfopen[plots]'"
        ) from None


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
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"--plot {str(where)!r} cannot be written: {reason}") from None
