"""Output of ``halfopen run``: a header, the table, a story for each failure, the paths of the files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from halfopen.results import record, story, words
from halfopen.results.baseline import Baseline, standing
from halfopen.results.record import Conditions
from halfopen.run.runner import RunResult


def header(how: Conditions, why: str | None = None, compared: str | None = None) -> str:
    """Format one line with the subject and the conditions of the measurement.

    ``why`` is the reason for a guest kernel. ``compared`` describes a comparison, if it is not of one detector.
    """
    return escape(words.headline(record.conditions_as_table(how, 0.0), compared or "", why or ""))


def table(done: Sequence[RunResult], baseline: Baseline | None = None) -> Table:
    """Build a row for each run; fits 80 columns."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    # If the table is too wide, fold names and never numbers.
    shown.add_column("scenario", overflow="fold")
    for column in ("client", "session", "reason"):
        shown.add_column(column, no_wrap=True)
    shown.add_column("detected", justify="right", no_wrap=True)
    shown.add_column("stuck", justify="right", no_wrap=True)
    shown.add_column("verdict", no_wrap=True)
    for one in done:
        standing_of = words.STANDINGS[standing(one, baseline)]
        shown.add_row(
            escape(one.job.label),
            *map(escape, words.row(record.run_as_table(one))),
            f"[{standing_of.colour}]{standing_of.mark} {standing_of.words}[/]",
        )
    return shown


def show(console: Console, how: Conditions, done: Sequence[RunResult], out: Path, wall: float) -> None:
    """Print the results of all runs."""
    console.print(table(done, how.baseline))
    for one in done:
        if standing(one, how.baseline) in {"failed", "inconclusive"}:
            where = f"report:  {out / record.REPORT}#{words.anchor(one.job.label)}"
            _paragraph(console, [*story.story(one, how.again, how.baseline), where])
    _paragraph(console, story.remarks(done, how.baseline))
    counted = story.summary(done, wall, how.baseline)
    _paragraph(console, [f"{counted}; results: {out / record.RESULTS}, report: {out / record.REPORT}"])


def _paragraph(console: Console, lines: Sequence[str]) -> None:
    if lines:
        console.print(f"\n{escape(chr(10).join(lines))}", soft_wrap=True)
