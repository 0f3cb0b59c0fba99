"""The printed results of a sweep: its curve, causes, survived outages, and the recommendation.

Every table fits 80 columns. With more graces or detectors than fit, it continues in another table.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from halfopen.grace import legend
from halfopen.grace.confirmation import disagreements, told
from halfopen.grace.curves import title
from halfopen.grace.estimates import Estimates, GracePoint, frontiers, longest_stalls
from halfopen.grace.number_format import held, interval, percent
from halfopen.grace.outages import Flight, Survival, flights
from halfopen.grace.rates import Rate
from halfopen.grace.recommendation import MOST_FALSE_REAPS, Recommendation, recommend, smallest
from halfopen.netns.units import show_duration
from halfopen.results.words import seconds

#: Width in columns from which there is room for minor details.
WIDE = 104


def show(console: Console, found: Estimates, most: float = MOST_FALSE_REAPS) -> None:
    """Print all results for the console's width."""
    curves = frontiers(found.points)
    for key, curve in curves.items():
        console.print(f"[bold]{escape(title(*key))}[/]", soft_wrap=True)
        console.print(curve_table(curve, most, wide=console.width >= WIDE))
        console.print()
    for block in _details(found.points, console.width, most):
        console.print(block)
        console.print()
    for line in (words := legend.lines(found, most, wide=console.width >= WIDE)):
        console.print(line, style="dim", soft_wrap=True)
    if words:
        console.print()
    for line in remarks(found):
        console.print(line, soft_wrap=True)
    for line in conclusion(recommend(found, most)):
        console.print(line, soft_wrap=True)


def _details(points: Sequence[GracePoint], width: int, most: float) -> Iterator[Table]:
    """Yield the details of a single curve, or a comparison of several. Their details are in the report."""
    curves = list(frontiers(points).values())
    if len(curves) > 1:
        yield from side_by_side(points, width, most)
    for curve in curves if len(curves) == 1 else ():
        yield from causes(curve, width)
        yield from survivals(curve, width)
        yield from stairs(curve, width)


def curve_table(curve: Sequence[GracePoint], most: float, *, wide: bool) -> Table:
    """Return a row for each grace: false reaps, the outage survived, detection times, and cost."""
    chosen = smallest(curve, most)
    shown = _table("grace")
    columns = [(head, [cell(point) for point in curve]) for head, cell, broad in _COLUMNS if wide or not broad]
    there = [(head, cells) for head, cells in columns if any(cells)]
    for head, _ in there:
        shown.add_column(head, justify="right", no_wrap=True)
    for nth, point in enumerate(curve):
        style = "bold" if point is chosen else None
        shown.add_row(_grace(point, marked=point is chosen), *(cells[nth] for _, cells in there), style=style)
    return shown


def _table(head: str) -> Table:
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    shown.add_column(head, no_wrap=True, min_width=5)
    return shown


def _grace(point: GracePoint, *, marked: bool) -> str:
    return f"{show_duration(point.candidate.grace)}{' *' if marked else ''}"


def counted(rate: Rate) -> str:
    """``"12/400"``; empty without a trial."""
    return f"{rate.times}/{rate.trials}" if rate.trials else ""


def survived(one: Survival | None) -> str:
    """The longest outage that was always survived: ``"13s"``; ``"120s+"`` if none was too long, ``"-"`` for none.

    Empty if unknown.
    """
    if one is None or one.longest is None:
        return ""
    if one.survived is None:
        return "" if one.reaped is None else "-"
    return f"{show_duration(one.survived)}{'+' if one.reaped is None else ''}"


def _share(point: GracePoint) -> str:
    share = point.false_reaps.share
    return "" if share is None else percent(share)


def _interval(point: GracePoint) -> str:
    its = point.false_reaps
    return interval(*its.interval) if its.trials else ""


def _cost(point: GracePoint) -> str:
    return "" if point.cost is None else held(point.cost.seconds, at_least=point.cost.at_least)


#: Heading, cell, and True for a column only for wide consoles.
_COLUMNS: tuple[tuple[str, Callable[[GracePoint], str], bool], ...] = (
    ("false", lambda point: counted(point.false_reaps), False),
    ("rate", _share, True),
    ("95 %", _interval, False),
    ("survives", lambda point: survived(point.survived), False),
    ("p50", lambda point: seconds(point.from_onset.median), False),
    ("p99", lambda point: seconds(point.from_onset.p99), False),
    ("max", lambda point: seconds(point.from_onset.most), True),
    ("out", lambda point: str(point.outside or ""), True),
    ("missed", lambda point: counted(point.missed), False),
    ("seat", _cost, False),
    ("?", lambda point: str(point.unproved or ""), False),
)


def causes(curve: Sequence[GracePoint], width: int) -> Iterator[Table]:
    """Yield tables of the live sessions of each condition that each grace killed; a dot for none."""
    names = list(dict.fromkeys(one.name for point in curve for one in point.causes))
    if not names:
        return
    rates = [{one.name: one.false_reaps for one in point.causes} for point in curve]
    trials = {name: max(rate[name].trials for rate in rates if name in rate) for name in names}
    rows = [(f"{name}, {trials[name]:,}", [_false(rate.get(name)) for rate in rates]) for name in names]
    yield from _by_grace("false reaps of", curve, rows, width)


def _false(rate: Rate | None) -> str:
    return "" if rate is None or not rate.trials else str(rate.times or "·")


def survivals(curve: Sequence[GracePoint], width: int) -> Iterator[Table]:
    """Yield tables by round trip of the longest outage always survived and the shortest that was ever fatal."""
    trips = list(dict.fromkeys(one.rtt for point in curve for one in point.survivals))
    rows = [
        (_trip(rtt), [_outages(next((one for one in point.survivals if one.rtt == rtt), None)) for point in curve])
        for rtt in trips
    ]
    if rows:
        yield from _by_grace("outages", curve, rows, width)


def _trip(rtt: float | None) -> str:
    return "all of them" if rtt is None else f"rtt {show_duration(rtt)}"


def _outages(one: Survival | None) -> str:
    reaped = None if one is None else one.reaped
    return f"{survived(one)}{'' if reaped is None else f' ✗{show_duration(reaped)}'}"


def stairs(curve: Sequence[GracePoint], width: int) -> Iterator[Table]:
    """Yield tables of outages and their stalls by round trip: the staircase, a line for each flight."""
    found = flights(longest_stalls(curve))
    columns = {rtt: [_flight(one) for one in found if one.rtt == rtt] for rtt in sorted({one.rtt for one in found})}
    broad = max((len(cell) for cells in columns.values() for cell in cells), default=0)
    most = max(1, (width - len("stalls")) // (broad + 2))
    for first in range(0, len(columns), most):
        trips = list(columns)[first : first + most]
        shown = _table("stalls")
        for rtt in trips:
            shown.add_column(_trip(rtt), no_wrap=True)
        for cells in itertools.zip_longest(*(columns[rtt] for rtt in trips), fillvalue=""):
            shown.add_row("", *cells)
        yield shown


def _flight(one: Flight) -> str:
    lengths = show_duration(one.longest)
    if one.shortest != one.longest:
        lengths = f"{show_duration(one.shortest)} - {lengths}"
    return f"{lengths}: {show_duration(round(one.stall, 1))}"


def _by_grace(
    head: str, curve: Sequence[GracePoint], rows: Sequence[tuple[str, Sequence[str]]], width: int
) -> Iterator[Table]:
    """Yield tables with graces across, as many in each as fit."""
    name = max(len(head), *(len(row) for row, _ in rows))
    graces = [show_duration(point.candidate.grace) for point in curve]
    column = max(len(cell) for cell in itertools.chain(graces, *(cells for _, cells in rows)))
    most = max(1, (width - name) // (column + 2))
    for first in range(0, len(curve), most):
        shown = _table(head)
        for grace in graces[first : first + most]:
            shown.add_column(grace, justify="right", no_wrap=True, min_width=column)
        for row, cells in rows:
            shown.add_row(escape(row), *cells[first : first + most])
        yield shown


def side_by_side(points: Sequence[GracePoint], width: int, most: float) -> Iterator[Table]:
    """Yield tables with graces down and detectors across: the bound on false reaps, and detection times."""
    curves = frontiers(points)
    graces = sorted({point.candidate.grace for point in points})
    titles = {key: title(*key) for key in curves}
    fit = max(1, (width - 7) // (max(21, *(len(one) for one in titles.values())) + 2))
    keys = list(curves)
    for first in range(0, len(keys), fit):
        part = keys[first : first + fit]
        shown = _table("grace")
        for key in part:
            shown.add_column(escape(titles[key]), justify="right", no_wrap=True)
        for grace in graces:
            shown.add_row(show_duration(grace), *(_compared(curves[key], grace, most) for key in part))
        yield shown


def _compared(curve: Sequence[GracePoint], grace: float, most: float) -> str:
    point = next((one for one in curve if one.candidate.grace == grace), None)
    if point is None:
        return ""
    mark = "* " if point is smallest(curve, most) else ""
    killed = f"≤ {percent(point.false_reaps.high)}" if point.false_reaps.trials else ""
    missed = f", {point.missed.times} missed" if point.missed.times else ""
    took = f", p50 {seconds(point.from_onset.median)}" if point.from_onset.seconds else ""
    return f"{mark}{killed}{took}{missed}"


def remarks(found: Estimates) -> list[str]:
    """Return remarks on how far results can be trusted: missing sessions, and disagreements of the replay."""
    lines = [] if found.tried == found.planned else [f"{found.tried:,} of {found.planned:,} sessions tried so far"]
    wrong = disagreements(found.confirmations)
    if line := told(found.confirmations):
        lines.append(f"[bold red]✗ {escape(line)}:[/]" if wrong else escape(line))
    lines += [f"  [red]{escape(str(one))}[/]" for one in wrong]
    return [*lines, *map(escape, _outside(found))]


def _outside(found: Estimates) -> Iterator[str]:
    """Yield the number of reaps out of bounds for each curve that has any."""
    for key, curve in frontiers(found.points).items():
        reaps = sum(len(point.from_onset.seconds) for point in curve)
        outside = sum(point.outside for point in curve)
        if outside:
            yield f"{title(*key)}: {outside:,} of {reaps:,} reaps came out of grace .. grace + poll from the onset"


def conclusion(recommended: Recommendation) -> list[str]:
    """The recommendation, with its reason."""
    if recommended.point is None:
        return ["[bold yellow]no recommendation[/]", escape(recommended.why)]
    return [f"[bold green]recommended: {escape(recommended.point.candidate.label)}[/]", escape(recommended.why)]
