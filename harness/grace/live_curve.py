"""Live display of a sweep: a table with narrowing intervals on a terminal, or else lines."""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from halfopen.displays import displayed
from halfopen.grace import tables
from halfopen.grace.confirmation import told
from halfopen.grace.curves import title
from halfopen.grace.estimates import Estimates, estimate, frontiers
from halfopen.grace.recommendation import MOST_FALSE_REAPS, recommend
from halfopen.grace.trials import Sweep, Trial

_REFRESH_PER_SECOND = 4
#: Number of progress lines if there is no terminal.
_LINES = 10

OnTried = Callable[[Sequence[Trial]], None]


@contextlib.contextmanager
def progress(
    console: Console, sweep: Sweep, most: float = MOST_FALSE_REAPS, before: Sequence[Trial] = ()
) -> Iterator[OnTried]:
    """Show the curve until the context is left. Yields a function that takes each batch's results, on any thread.

    ``before`` has the results that a resumed sweep already has.
    """
    curve = _Curve(sweep, most, list(before))
    if not console.is_terminal:
        yield lambda tried: _told(console, curve, tried)
        return
    bar = _bar(console, len(sweep.draws))
    live = Live(
        console=console,
        get_renderable=lambda: Group(bar, *picture(curve.estimates(), most, console)),
        refresh_per_second=_REFRESH_PER_SECOND,
        transient=True,
    )

    def on_tried(tried: Sequence[Trial]) -> None:
        curve.add(tried)
        bar.update(bar.task_ids[0], completed=curve.done)

    on_tried(())
    with displayed(live):
        yield on_tried


def picture(found: Estimates, most: float, console: Console) -> Iterator[RenderableType]:
    """Yield the current curve, cut to fit the terminal, then the recommendation or the reason for none."""
    curves = frontiers(found.points)
    rows = sum(len(curve) + 3 for curve in curves.values())
    if len(curves) == 1 or rows < console.height - 6:
        for key, curve in curves.items():
            yield Text(title(*key), style="bold")
            yield tables.curve_table(curve, most, wide=console.width >= tables.WIDE)
    else:
        yield from tables.side_by_side(found.points, console.width, most)
    if found.tried:
        yield from map(Text.from_markup, tables.conclusion(recommend(found, most)))


def line(found: Estimates, most: float) -> str:
    """The same in one line: the progress and the current recommendation."""
    recommended = recommend(found, most).point
    by_now = "nothing recommended yet" if recommended is None else f"recommended by now: {recommended.candidate.label}"
    agree = f"; {told(found.confirmations)}" if found.confirmations else ""
    return f"{found.tried:,} of {found.planned:,} sessions; {by_now}{agree}"


@dataclass
class _Curve:
    """The results so far. Estimates are computed only on demand, after new results."""

    sweep: Sweep
    most: float
    tried: list[Trial]
    _seen: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    _estimates: Estimates | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._note(self.tried)

    def _note(self, tried: Sequence[Trial]) -> None:
        for one in tried:
            self._seen[one.draw].add(one.candidate)

    @property
    def done(self) -> int:
        """Number of sessions that were tried with every candidate."""
        return sum(len(candidates) == len(self.sweep.candidates) for candidates in self._seen.values())

    def add(self, tried: Sequence[Trial]) -> None:
        """Add results."""
        with self._lock:
            self.tried += tried
            self._note(tried)
            self._estimates = None

    def estimates(self) -> Estimates:
        """Return the current estimates."""
        with self._lock:
            if self._estimates is None:
                self._estimates = estimate(self.sweep, self.tried)
            return self._estimates


def _told(console: Console, curve: _Curve, tried: Sequence[Trial]) -> None:
    """Add results; print a line for each tenth of the sessions."""
    step = max(1, len(curve.sweep.draws) // _LINES)
    before = curve.done // step
    curve.add(tried)
    if curve.done // step != before:
        console.print(escape(line(curve.estimates(), curve.most)), soft_wrap=True)


def _bar(console: Console, total: int) -> Progress:
    bar = Progress(
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} sessions"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
    )
    bar.add_task("", total=total)
    return bar
