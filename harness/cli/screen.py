"""Output of runs: a header, their progress, a table, a story for each failure, the paths of the files."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from halfopen.displays import displayed
from halfopen.netns import interrupts
from halfopen.netns.units import show_bytes, show_duration
from halfopen.results import record, story, words
from halfopen.results.baseline import Baseline, standing
from halfopen.results.record import Conditions
from halfopen.run import hindrances
from halfopen.run.progress import RunView
from halfopen.run.runner import RunResult

_REFRESH_PER_SECOND = 4


def header(conditions: Conditions, why: str | None = None, compared: str | None = None) -> str:
    """Format one line with the subject and the conditions of the measurement.

    ``why`` is the reason for a guest kernel. ``compared`` describes a comparison, if it is not of one detector.
    """
    return escape(words.headline(record.conditions_as_table(conditions, 0.0), compared or "", why or ""))


@contextlib.contextmanager
def progress(
    console: Console, views: Sequence[RunView], baseline: Baseline | None = None
) -> Iterator[Callable[[RunResult], None]]:
    """Show the runs until the context is left. It yields a function to call with each finished run."""
    if not console.is_terminal:
        yield lambda done: console.print(escape(line(done, baseline)), soft_wrap=True)
        return
    live = Live(
        console=console,
        get_renderable=lambda: live_table(views),
        refresh_per_second=_REFRESH_PER_SECOND,
        transient=True,
    )
    # A killed process would leave the cursor hidden.
    with interrupts.interrupting(), displayed(live):
        yield lambda done: _print_trouble(console, done, baseline)


def _print_trouble(console: Console, done: RunResult, baseline: Baseline | None) -> None:
    """Print the sentence of a run that is red, above the table that shows the others going on."""
    if standing(done, baseline) in {"failed", "inconclusive"}:
        console.print(escape(line(done, baseline)), soft_wrap=True)


@contextlib.contextmanager
def count(console: Console, views: Sequence[RunView]) -> Iterator[Callable[[RunResult], None]]:
    """Show the number of finished runs until the context is left.

    A terminal shows one line. Elsewhere a line is printed for each tenth. This is for more runs than a user follows one
    by one.
    """
    bar = Progress(
        TextColumn("{task.completed:.0f} of {task.total:.0f} runs"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
        console=console,
        transient=True,
    )
    task = bar.add_task("", total=len(views))
    step = max(1, len(views) // 10)
    finished = itertools.count(1)

    def on_done(_: RunResult) -> None:
        number = next(finished)
        running = [view.label for view in views if view.verdict is None and view.phase != "waiting"]
        bar.update(task, completed=number, description=escape(", ".join(running[:1])))
        if not console.is_terminal and number % step == 0:
            console.print(f"{number} of {len(views)} runs")

    if not console.is_terminal:
        yield on_done
        return
    with interrupts.interrupting(), displayed(bar.live), bar:
        yield on_done


def line(done: RunResult, baseline: Baseline | None = None) -> str:
    """Format one run in one line."""
    known = f" ({baseline.of(done)})" if baseline is not None and baseline.covers(done) else ""
    return f"{done.job.label}: {standing(done, baseline).replace('_', ' ')}{known}: {done.verdict.why}"


def live_table(views: Sequence[RunView]) -> Table:
    """Build a row for each run: its state, the bytes queued for its client, the most time until its verdict."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    shown.add_column("scenario", no_wrap=True, min_width=14)
    shown.add_column("state", no_wrap=True, min_width=19)
    shown.add_column("queued", justify="right", min_width=8)
    shown.add_column("verdict in", justify="right", min_width=10)
    for view in views:
        left = view.seconds_left
        shown.add_row(
            escape(view.label),
            f"[{words.STANDINGS[view.verdict.word].colour}]{words.STANDINGS[view.verdict.word].words}[/]"
            if view.verdict
            else view.phase,
            show_bytes(view.queued) if view.queued and view.verdict is None else "",
            "" if left is None else f"≤ {show_duration(round(left))}",
        )
    return shown


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
    for run in done:
        standing_of = words.STANDINGS[standing(run, baseline)]
        shown.add_row(
            escape(run.job.label),
            *map(escape, words.row(record.run_as_table(run))),
            f"[{standing_of.colour}]{standing_of.mark} {standing_of.words}[/]",
        )
    return shown


def show(console: Console, conditions: Conditions, done: Sequence[RunResult], out: Path, wall: float) -> None:
    """Print the results of all runs."""
    console.print(table(done, conditions.baseline))
    for run in done:
        if standing(run, conditions.baseline) in {"failed", "inconclusive"}:
            where = f"report:  {out / record.REPORT}#{words.anchor(run.job.label)}"
            _paragraph(console, [*story.story(run, conditions.again, conditions.baseline), where])
    remarks = story.remarks(done, conditions.baseline)
    _paragraph(console, [*remarks, *hindrances.remedies(conditions.left_out)])
    counted = story.summary(done, wall, conditions.baseline, len(conditions.left_out))
    _paragraph(console, [f"{counted}; results: {out / record.RESULTS}, report: {out / record.REPORT}"])


def _paragraph(console: Console, lines: Sequence[str]) -> None:
    if lines:
        console.print(f"\n{escape(chr(10).join(lines))}", soft_wrap=True)
