"""The points of a sweep as curves, one for each detector and poll, ordered by grace; and the curves' names. Pure.

Handles estimates and the content of grace.json alike, so that tables, report and plots show the same curves in the same
order.
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
    """Group points into curves, each ordered by grace. ``knobs`` returns a point's detector, poll and grace.

    Curves keep the order in which they first appear.
    """
    found: dict[Key, list[tuple[float, Point]]] = {}
    for point in points:
        detector, poll, grace = knobs(point)
        found.setdefault((detector, poll), []).append((grace, point))
    return {key: tuple(point for _, point in sorted(its, key=lambda one: one[0])) for key, its in found.items()}


def of_table(table: Mapping[str, Any]) -> dict[Key, tuple[Mapping[str, Any], ...]]:
    """Return the curves of grace.json; raises KeyError for other content."""
    return grouped(table["points"], lambda point: (point["detector"], point["poll_s"], float(point["grace_s"])))


def title(detector: str | None, poll: float) -> str:
    """Return a curve's name: ``"bytes-acked, poll 2s"``. A server with a detector of its own has no poll of ours."""
    return "the server's own detector" if detector is None else f"{detector}, poll {show_duration(poll)}"


def names(keys: Collection[Key]) -> dict[Key, str]:
    """Return the shortest distinct names: with the poll only if there are several."""
    polls = {poll for _, poll in keys}
    return {key: title(*key) if key[0] is None or len(polls) > 1 else key[0] for key in keys}
