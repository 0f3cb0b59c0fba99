"""The printed results of a sweep: its curve, causes, survived outages, and the recommendation.

Every table fits 80 columns. With more graces or detectors than fit, it continues in another table.
"""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from halfopen.grace.confirmation import agreement, disagreements
from halfopen.grace.estimates import Estimates, GracePoint, curve_title, curves, longest_stalls, quantile
from halfopen.grace.outages import Survival, stairs
from halfopen.grace.rates import Rate, held, interval, percent
from halfopen.grace.recommendation import MOST_FALSE_REAPS, Recommendation, recommend, smallest
from halfopen.netns.units import show_duration
from halfopen.results.words import seconds

#: Width in columns from which there is room for minor details.
WIDE = 104
_LEGEND_WIDTH = 79


def show(console: Console, estimates: Estimates, most: float = MOST_FALSE_REAPS) -> None:
    """Print all results for the console's width."""
    points, wide = estimates.points, console.width >= WIDE
    for key, curve in curves(points).items():
        console.print(f"[bold]{escape(curve_title(*key))}[/]", soft_wrap=True)
        console.print(curve_table(curve, most, wide=wide))
        console.print()
    for block in _details(points, console.width, most):
        console.print(block)
        console.print()
    if words := legend(points, most, wide=wide):
        console.print("\n".join(words), style="dim", soft_wrap=True)
        console.print()
    for line in (*remarks(estimates), *conclusion(recommend(estimates, most))):
        console.print(line, soft_wrap=True)


def _details(points: Sequence[GracePoint], width: int, most: float) -> Iterator[Table]:
    """Yield the details of a single curve, or a comparison of several. Their details are in the report."""
    if len(curves(points)) > 1:
        yield from side_by_side(points, width, most)
        return
    for curve in curves(points).values():
        yield from _causes(curve, width)
        yield from _survivals(curve, width)
        yield from _stairs(curve, width)


def curve_table(curve: Sequence[GracePoint], most: float, *, wide: bool) -> Table:
    """Return a row for each grace: false reaps, the outage survived, detection times, and cost."""
    chosen = smallest(curve, most)
    columns = [(head, [cell(point) for point in curve]) for head, cell, minor in _COLUMNS if wide or not minor]
    columns = [(head, cells) for head, cells in columns if any(cells)]
    table = _table("grace")
    for head, _ in columns:
        table.add_column(head, justify="right", no_wrap=True)
    for nth, point in enumerate(curve):
        grace = f"{show_duration(point.candidate.grace)}{' *' if point is chosen else ''}"
        table.add_row(grace, *(cells[nth] for _, cells in columns), style="bold" if point is chosen else None)
    return table


def _table(head: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(head, no_wrap=True, min_width=5)
    return table


def counted(rate: Rate) -> str:
    """``"12/400"``; empty without a trial."""
    return f"{rate.times}/{rate.trials}" if rate.trials else ""


def survived(survival: Survival | None) -> str:
    """The longest outage that was always survived: ``"13s"``; ``"120s+"`` if none was too long, ``"-"`` for none.

    Empty if unknown.
    """
    if survival is None or survival.longest is None:
        return ""
    if survival.survived is None:
        return "" if survival.reaped is None else "-"
    return f"{show_duration(survival.survived)}{'+' if survival.reaped is None else ''}"


#: Heading, cell, and True for a column only for wide consoles.
_COLUMNS: tuple[tuple[str, Callable[[GracePoint], str], bool], ...] = (
    ("false", lambda point: counted(point.false_reaps), False),
    ("rate", lambda point: "" if point.false_reaps.share is None else percent(point.false_reaps.share), True),
    ("95 %", lambda point: interval(*point.false_reaps.interval) if point.false_reaps.trials else "", False),
    ("survives", lambda point: survived(point.survived), False),
    ("p50", lambda point: seconds(quantile(point.from_onset, 50)), False),
    ("p99", lambda point: seconds(quantile(point.from_onset, 99)), False),
    ("max", lambda point: seconds(max(point.from_onset, default=None)), True),
    ("out", lambda point: str(point.outside or ""), True),
    ("missed", lambda point: counted(point.missed), False),
    ("seat", lambda point: held(point.cost.seconds, at_least=point.cost.at_least) if point.cost else "", False),
    ("?", lambda point: str(point.unproved or ""), False),
)


def _causes(curve: Sequence[GracePoint], width: int) -> Iterator[Table]:
    """Yield tables of the live sessions of each condition that each grace killed; a dot for none."""
    rows = []
    for causes in zip(*(point.causes for point in curve), strict=True):
        rates = [cause.wrong for cause in causes]
        cells = [str(rate.times or "·") if rate.trials else "" for rate in rates]
        rows.append((f"{causes[0].name}, {max(rate.trials for rate in rates):,}", cells))
    yield from _by_grace("false reaps of", curve, rows, width)


def _survivals(curve: Sequence[GracePoint], width: int) -> Iterator[Table]:
    """Yield tables by round trip of the longest outage always survived and the shortest that was ever fatal."""
    rows = []
    for trip in zip(*(point.survivals for point in curve), strict=True):
        lost = ["" if end.reaped is None else f" ✗{show_duration(end.reaped)}" for end in trip]
        name = "all of them" if trip[0].rtt is None else f"rtt {show_duration(trip[0].rtt)}"
        rows.append((name, [survived(longest) + limit for longest, limit in zip(trip, lost, strict=True)]))
    yield from _by_grace("outages", curve, rows, width)


def _stairs(curve: Sequence[GracePoint], width: int) -> Iterator[Table]:
    """Yield tables of outages and their stalls by round trip: the staircase, a line for each stair."""
    columns: dict[float, list[str]] = {}
    for stair in stairs(longest_stalls(curve)):
        shortest = f"{show_duration(stair.shortest)} - " if stair.shortest != stair.longest else ""
        cell = f"{shortest}{show_duration(stair.longest)}: {show_duration(round(stair.stall, 1))}"
        columns.setdefault(stair.rtt, []).append(cell)
    broad = max((len(cell) for cells in columns.values() for cell in cells), default=0)
    fit = max(1, (width - len("stalls")) // (broad + 2))
    for first in range(0, len(columns), fit):
        trips = list(columns)[first : first + fit]
        table = _table("stalls")
        for rtt in trips:
            table.add_column(f"rtt {show_duration(rtt)}", no_wrap=True)
        for cells in itertools.zip_longest(*(columns[rtt] for rtt in trips), fillvalue=""):
            table.add_row("", *cells)
        yield table


def _by_grace(
    head: str, curve: Sequence[GracePoint], rows: Sequence[tuple[str, Sequence[str]]], width: int
) -> Iterator[Table]:
    """Yield tables with graces across, as many in each as fit; none without rows."""
    if not rows:
        return
    name = max(len(head), *(len(row) for row, _ in rows))
    graces = [show_duration(point.candidate.grace) for point in curve]
    column = max(len(cell) for cell in itertools.chain(graces, *(cells for _, cells in rows)))
    fit = max(1, (width - name) // (column + 2))
    for first in range(0, len(curve), fit):
        table = _table(head)
        for grace in graces[first : first + fit]:
            table.add_column(grace, justify="right", no_wrap=True, min_width=column)
        for row, cells in rows:
            table.add_row(escape(row), *cells[first : first + fit])
        yield table


def side_by_side(points: Sequence[GracePoint], width: int, most: float) -> Iterator[Table]:
    """Yield tables with graces down and detectors across: the bound on false reaps, and detection times."""
    graces = sorted({point.candidate.grace for point in points})
    columns = []
    for key, curve in curves(points).items():
        cells = {point.candidate.grace: _compared(point, chosen=point is smallest(curve, most)) for point in curve}
        columns.append((curve_title(*key), [cells.get(grace, "") for grace in graces]))
    fit = max(1, (width - 7) // (max(21, *(len(title) for title, _ in columns)) + 2))
    for first in range(0, len(columns), fit):
        table = _table("grace")
        for title, _ in columns[first : first + fit]:
            table.add_column(escape(title), justify="right", no_wrap=True)
        for nth, grace in enumerate(graces):
            table.add_row(show_duration(grace), *(cells[nth] for _, cells in columns[first : first + fit]))
        yield table


def _compared(point: GracePoint, *, chosen: bool) -> str:
    mark = "* " if chosen else ""
    killed = f"≤ {percent(point.false_reaps.high)}" if point.false_reaps.trials else ""
    took = f", p50 {seconds(quantile(point.from_onset, 50))}" if point.from_onset else ""
    missed = f", {point.missed.times} missed" if point.missed.times else ""
    return f"{mark}{killed}{took}{missed}"


def legend(points: Sequence[GracePoint], most: float, *, wide: bool) -> list[str]:
    """Return explanations of the words that occur in the tables, in lines that fit 80 columns."""
    groups = curves(points)
    survivals = [survival for point in points for survival in point.survivals]
    has_rates = any(point.false_reaps.trials for point in points)
    has_survivals = any(survival.longest is not None for survival in survivals)
    has_limits = len(groups) == 1 and any(survival.reaped is not None for survival in survivals)
    has_stairs = len(groups) == 1 and any(step.stalls for step in longest_stalls(points))
    has_cost = any(point.cost for point in points)
    entries = {
        "false: false reaps of live sessions, with Wilson's interval": has_rates,
        "survives: the longest outage that was always survived (+: none was too long)": has_survivals,
        "p50, p99: from the onset of a dead client's stall to its reap": any(point.from_onset for point in points),
        "missed: dead clients not reaped while observed": any(point.missed.trials for point in points),
        "seat: how long the dead hold theirs, including those whose kernel reports the death at once": has_cost,
        "13s ✗14s: 13s were always survived, 14s were not": has_limits,
        "stalls: how long at most nothing is acknowledged after an outage of that length": has_stairs,
        "?: sessions that prove nothing": any(point.unproved for point in points),
        "out: reaps out of grace .. grace + poll": wide and any(point.outside for point in points),
        "*: the smallest grace that is good enough": any(smallest(curve, most) for curve in groups.values()),
    }
    text = "; ".join(text for text, applies in entries.items() if applies)
    return textwrap.wrap(text, _LEGEND_WIDTH, break_on_hyphens=False, break_long_words=False)


def remarks(estimates: Estimates) -> Iterator[str]:
    """Yield remarks on how far results can be trusted: missing sessions, and disagreements of the replay."""
    if estimates.tried != estimates.planned:
        yield f"{estimates.tried:,} of {estimates.planned:,} sessions tried so far"
    wrong = disagreements(estimates.confirmations)
    if line := agreement(estimates.confirmations):
        yield f"[bold red]✗ {escape(line)}:[/]" if wrong else escape(line)
    for confirmation in wrong:
        yield f"  [red]{escape(str(confirmation))}[/]"
    for key, curve in curves(estimates.points).items():
        if outside := sum(point.outside for point in curve):
            reaps = sum(len(point.from_onset) for point in curve)
            text = f"{outside:,} of {reaps:,} reaps came out of grace .. grace + poll from the onset"
            yield escape(f"{curve_title(*key)}: {text}")


def conclusion(recommended: Recommendation) -> list[str]:
    """The recommendation, with its reason."""
    if recommended.point is None:
        return ["[bold yellow]no recommendation[/]", escape(recommended.why)]
    return [f"[bold green]recommended: {escape(recommended.point.candidate.label)}[/]", escape(recommended.why)]
