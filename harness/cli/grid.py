"""Output of ``compare`` and ``field``: detectors or servers down, scenarios across, and a summary for each.

It is readable without colour: right is lower-case or a number, wrong is upper-case or has an exclamation mark.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from halfopen.cli import screen
from halfopen.results import comparison, words
from halfopen.results.record import Conditions
from halfopen.run import hindrances
from halfopen.run.runner import RunResult


def cell(done: RunResult) -> str:
    """Format one run in at most five characters."""
    return words.cell(comparison.run_as_table(done) | {"class": done.verdict.klass})


def blocks(done: Sequence[RunResult], width: int) -> Iterator[list[str] | Table]:
    """Yield a table for each suite, or several if it is too wide, each after the lines that name its columns."""
    detectors = comparison.by_candidate(done)
    for suite in dict.fromkeys(run.job.scenario.suite for run in done):
        runs = [run for run in done if run.job.scenario.suite == suite]
        names = list(dict.fromkeys(run.job.scenario.name for run in runs))
        column = max(len(str(len(names))), *(len(cell(run)) for run in runs))
        most = max(1, (width - max(len(_short(name)) for name in detectors) - 1) // (column + 1))
        for first in range(0, len(names), most):
            part = names[first : first + most]
            yield _heading(suite, part, first, width)
            yield _grid(suite, part, first, column, detectors)


def _heading(suite: str, names: Sequence[str], first: int, width: int) -> list[str]:
    """Format the suite and below it the names of its columns, as many in a line as fit."""
    entries = [f"{number} {name}" for number, name in enumerate(names, first + 1)]
    broad = max(map(len, entries)) + 3
    per_line = max(1, (width - 2) // broad)
    rows = -(-len(entries) // per_line)
    lines = ["  " + "".join(entry.ljust(broad) for entry in entries[row::rows]).rstrip() for row in range(rows)]
    return [f"[bold]{escape(suite)}[/]", *(escape(line) for line in lines)]


def _grid(suite: str, names: Sequence[str], first: int, column: int, detectors: dict[str, list[RunResult]]) -> Table:
    shown = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    shown.add_column("", no_wrap=True, min_width=max(len(_short(name)) for name in detectors))
    for number, _ in enumerate(names, first + 1):
        shown.add_column(str(number), justify="right", no_wrap=True, min_width=column)
    for detector, runs in detectors.items():
        by_name = {run.job.scenario.name: run for run in runs if run.job.scenario.suite == suite}
        cells_of = [_coloured(by_name[name]) if name in by_name else "" for name in names]
        shown.add_row(escape(_short(detector)), *cells_of)
    return shown


def _short(detector: str) -> str:
    """Return a detector's name; the last part of an import path."""
    return detector.rpartition(".")[2]


def _coloured(done: RunResult) -> str:
    return f"[{words.STANDINGS[done.verdict.word].colour}]{cell(done)}[/]"


def summary(done: Sequence[RunResult]) -> Table:
    """Build a row for each detector: counts of outcomes, times of true reaps, the most left in the kernel."""
    shown = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    # If the table is too wide, fold names and never cut numbers.
    shown.add_column("", overflow="fold")
    for head in comparison.SUMMARY_HEADS:
        shown.add_column(head, justify="right", no_wrap=True, min_width=len(head))
    for detector, cells in comparison.summary_rows(comparison.summary(done)):
        shown.add_row(escape(_short(detector)), *cells)
    return shown


def silence(done: Sequence[RunResult]) -> Table | None:
    """Build a row for each detector: the longest silence of any bystander in each scenario that has some."""
    runs = [comparison.run_as_table(run) | {"candidate": str(run.job.candidate)} for run in done]
    names, rows = comparison.silences(runs, "candidate")
    if not rows:
        return None
    shown = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    shown.add_column("silence", overflow="fold")
    for name in names:
        shown.add_column(escape(name), justify="right", overflow="fold")
    for detector, cells in rows:
        shown.add_row(escape(_short(detector)), *cells)
    return shown


def show(console: Console, done: Sequence[RunResult]) -> None:
    """Print the whole comparison in the console's width."""
    for block in blocks(done, console.width):
        if isinstance(block, list):
            console.print()
            for line in block:
                console.print(line, soft_wrap=True)
        else:
            console.print(block)
    console.print()
    for line in words.LEGEND:
        console.print(line, soft_wrap=True)
    console.print()
    console.print(summary(done))
    if (silent := silence(done)) is not None:
        console.print()
        console.print(silent)
        console.print(words.SILENCE)


def conclude(console: Console, conditions: Conditions, done: Sequence[RunResult], wall: float, files: str) -> int:
    """Print the comparison, its inconclusive runs and the paths of its files; returns the exit code."""
    show(console, done)
    lines = [screen.line(run) for run in done if run.verdict.word in {"inconclusive", "not_applicable"}]
    left_out = f", {words.left_out(len(conditions.left_out))}" if conditions.left_out else ""
    lines += [
        "",
        *hindrances.remedies(conditions.left_out),
        f"{len(done)} runs{left_out} in {words.ago(wall)}; {files}",
    ]
    console.print(escape("\n".join(lines)), soft_wrap=True)
    return comparison.exit_code(done)
