"""The points of a sweep as curves: those of one detector and poll, by grace, and what each is called. Pure.

Of what was estimated and of what stands in grace.json alike, so that tables, report and plots have the same ones in the
same order.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeVar

from halfopen.netns.units import show_duration

Point = TypeVar("Point")
#: A detector, None for a server's own, and its poll in seconds.
Key = tuple[str | None, float]


def grouped(
    points: Iterable[Point], knobs: Callable[[Point], tuple[str | None, float, float]]
) -> dict[Key, tuple[Point, ...]]:
    """The points of each curve by grace, curves in the order in which they come; ``knobs``: detector, poll, grace."""
    found: dict[Key, list[tuple[float, Point]]] = {}
    for point in points:
        detector, poll, grace = knobs(point)
        found.setdefault((detector, poll), []).append((grace, point))
    return {key: tuple(point for _, point in sorted(its, key=lambda one: one[0])) for key, its in found.items()}


def of_table(table: Mapping[str, Any]) -> dict[Key, tuple[Mapping[str, Any], ...]]:
    """The curves of grace.json; KeyError for what is not its content."""
    return grouped(table["points"], lambda point: (point["detector"], point["poll_s"], float(point["grace_s"])))


def title(detector: str | None, poll: float) -> str:
    """What a curve is called: ``"bytes-acked, poll 2s"``; a server that has its own detector has no poll of ours."""
    return "the server's own detector" if detector is None else f"{detector}, poll {show_duration(poll)}"


def names(keys: Collection[Key]) -> dict[Key, str]:
    """The same as briefly as tells them apart: with the poll only where there are several."""
    polls = {poll for _, poll in keys}
    return {key: title(*key) if key[0] is None or len(polls) > 1 else key[0] for key in keys}
