"""``halfopen report``: make report.html again from the results and timelines in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from halfopen.report import folder


def report(
    out: Annotated[
        Path, typer.Argument(metavar="DIR", help="The --out folder of 'halfopen run', 'compare' or 'grace'.")
    ] = Path("out"),
) -> int:
    """Write DIR/report.html again: one page that opens anywhere."""
    typer.echo(folder.write_again(out))
    return 0
