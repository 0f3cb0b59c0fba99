"""Options of ``halfopen run`` for CI: run a part of the scenarios, and accept known failures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from halfopen.cli.options import CI
from halfopen.errors import InputError, reason_of
from halfopen.results.baseline import Baseline, read, render, renewed
from halfopen.run.runner import RunResult
from halfopen.run.shards import Shard

_option = partial(typer.Option, rich_help_panel=CI)


def _shard(text: str) -> Shard:
    try:
        return Shard.parse(text)
    except InputError as error:
        raise typer.BadParameter(str(error)) from None


ShardOption = Annotated[
    Shard | None,
    _option(parser=_shard, metavar="I/N", help="Run one part of the runs only, such as 1/4."),
]
BaselineOption = Annotated[
    Path | None,
    _option(
        metavar="FILE", help="A file of known failures. They pass, new ones fail (docs/ci.md).", rich_help_panel=CI
    ),
]
WriteBaseline = Annotated[
    Path | None,
    _option(
        metavar="FILE",
        help="Write the failures of this call to a file as known, or update the file.",
        rich_help_panel=CI,
    ),
]


def check_writable(file: Path | None) -> None:
    """Check that a baseline can be written, before anything starts; raises InputError."""
    if file is None:
        return
    try:
        existed = _before(file) is not None
        with file.open("a"):
            pass
        if not existed:
            file.unlink()
    except OSError as error:
        raise InputError(
            f"--write-baseline {str(file)!r} cannot be written: {reason_of(error)}; "
            "name a file in a folder that can be written to"
        ) from None


def write_baseline(console: Console, file: Path, done: Sequence[RunResult]) -> None:
    """Write the failures as known, keep the reasons from the old file, and print a line about it."""
    made = renewed(_before(file), done)
    file.write_text(render(made, done))
    inconclusive = sum(one.verdict.word == "inconclusive" for one in done)
    but = f"; what was inconclusive ({inconclusive}) is not: it proves nothing" if inconclusive else ""
    count = len(made.known)
    what = "1 scenario is" if count == 1 else f"{count} scenarios are"
    console.print(f"baseline: {what} known in {escape(str(file))}{but}", soft_wrap=True)


def _before(file: Path) -> Baseline | None:
    return read(file) if file.exists() else None
