"""Live display of a sweep: a table with narrowing intervals on a terminal, or else lines."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from halfopen.displays import displayed
from halfopen.grace import tables
from halfopen.grace.confirmation import agreement
from halfopen.grace.estimates import Estimates, curve_title, curves, estimate
from halfopen.grace.recommendation import MOST_FALSE_REAPS, recommend
from halfopen.grace.sweep import Sweep, Trial

_REFRESH_PER_SECOND = 4
#: Number of progress lines if there is no terminal.
_LINES = 10

OnTrials = Callable[[Sequence[Trial]], None]


@contextlib.contextmanager
def progress(
    console: Console, sweep: Sweep, most: float = MOST_FALSE_REAPS, before: Sequence[Trial] = ()
) -> Iterator[OnTrials]:
    """Show the curve until the context is left. Yields a function that takes each batch's results, on any thread.

    ``before`` has the results that a resumed sweep already has.
    """
    curve = _Curve(sweep, before)
    if not console.is_terminal:
        step = max(1, len(sweep.draws) // _LINES)

        def print_line(trials: Sequence[Trial]) -> None:
            steps = curve.done // step
            curve.add(trials)
            if curve.done // step != steps:
                console.print(escape(line(curve.estimates(), most)), soft_wrap=True)

        yield print_line
        return
    bar = Progress(
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} sessions"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
    )
    task = bar.add_task("", total=len(sweep.draws), completed=curve.done)

    def update(trials: Sequence[Trial]) -> None:
        curve.add(trials)
        bar.update(task, completed=curve.done)

    live = Live(
        console=console,
        get_renderable=lambda: Group(bar, *picture(curve.estimates(), most, console)),
        refresh_per_second=_REFRESH_PER_SECOND,
        transient=True,
    )
    with displayed(live):
        yield update


def picture(estimates: Estimates, most: float, console: Console) -> Iterator[RenderableType]:
    """Yield the current curve, cut to fit the terminal, then the recommendation or the reason for none."""
    groups = curves(estimates.points)
    rows = sum(len(curve) + 3 for curve in groups.values())
    if len(groups) == 1 or rows < console.height - 6:
        for key, curve in groups.items():
            yield Text(curve_title(*key), style="bold")
            yield tables.curve_table(curve, most, wide=console.width >= tables.WIDE)
    else:
        yield from tables.side_by_side(estimates.points, console.width, most)
    if estimates.tried:
        yield from map(Text.from_markup, tables.conclusion(recommend(estimates, most)))


def line(estimates: Estimates, most: float) -> str:
    """The same in one line: the progress and the current recommendation."""
    point = recommend(estimates, most).point
    by_now = "nothing recommended yet" if point is None else f"recommended by now: {point.candidate.label}"
    agree = f"; {agreement(estimates.confirmations)}" if estimates.confirmations else ""
    return f"{estimates.tried:,} of {estimates.planned:,} sessions; {by_now}{agree}"


class _Curve:
    """The results so far. Estimates are computed only on demand, after new results."""

    def __init__(self, sweep: Sweep, before: Sequence[Trial]) -> None:
        self._sweep = sweep
        self._trials: list[Trial] = []
        self._candidates: dict[int, set[int]] = {}
        """Numbers of the candidates that each draw was tried with."""
        self._estimates: Estimates | None = None
        self._lock = threading.Lock()
        self.done = 0
        """Number of sessions that were tried with every candidate."""
        self.add(before)

    def add(self, trials: Sequence[Trial]) -> None:
        """Add results."""
        with self._lock:
            self._trials += trials
            self._estimates = None
            for trial in trials:
                candidates = self._candidates.setdefault(trial.draw, set())
                if trial.candidate not in candidates:
                    candidates.add(trial.candidate)
                    self.done += len(candidates) == len(self._sweep.candidates)

    def estimates(self) -> Estimates:
        """Return the current estimates."""
        with self._lock:
            if self._estimates is None:
                self._estimates = estimate(self._sweep, self._trials)
            return self._estimates
