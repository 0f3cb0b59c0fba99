"""Thin a curve to the points that matter at its drawing's resolution in pixels. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def kept(times: Sequence[float], values: Sequence[float], width: float) -> list[int]:
    """Return the indices of the points that change the drawing in columns of ``width``.

    Each column keeps its ends, and the first and last of its lowest and of its highest points. Then points between two
    of the same value are dropped. A line through the rest has the same lowest and highest value in each column as
    before. So no peak is lost, and no moment at zero.
    """
    places = [place for column in _columns(times, width) for place in _marked(values, *column)]
    return [
        place
        for nth, place in enumerate(places)
        if not _stands_still([values[n] for n in places[max(0, nth - 1) : nth + 2]])
    ]


def changes(values: Sequence[float]) -> list[int]:
    """Return the indices to keep of a stepped curve: each change, and the point before it."""
    return [place for place in range(len(values)) if not _stands_still(values[max(0, place - 1) : place + 2])]


def _columns(times: Sequence[float], width: float) -> Iterator[tuple[int, int]]:
    """Yield the first index of each column, and the one after its last."""
    first = 0
    for place in range(1, len(times)):
        if int(times[place] // width) != int(times[first] // width):
            yield first, place
            first = place
    if times:
        yield first, len(times)


def _marked(values: Sequence[float], first: int, after: int) -> list[int]:
    column = values[first:after]
    backward = column[::-1]
    found = {first, after - 1}
    for extreme in (min(column), max(column)):
        found |= {first + column.index(extreme), after - 1 - backward.index(extreme)}
    return sorted(found)


def _stands_still(around: Sequence[float]) -> bool:
    """True if a point and both its neighbours have the same value."""
    return len(around) == 3 and around[0] == around[1] == around[2]
