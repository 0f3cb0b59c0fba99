"""Leaves of a curve the points that its drawing needs: what a column of pixels can show, and no more. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence


def kept(times: Sequence[float], values: Sequence[float], width: float) -> list[int]:
    """Which points to keep, by their places: those that change what is seen in columns of ``width`` seconds.

    Of each column stay the first and the last point, and the first of its lowest and of its highest; then goes what
    stands still between two of the same value. A line through what is left has in each column the same lowest and
    highest value as before: no peak is lost, and no moment at which something stood at zero.
    """
    of_columns = itertools.chain.from_iterable(_marked(values, *column) for column in _columns(times, width))
    return [place for place in of_columns if not _stands_still(values, place)]


def changes(values: Sequence[float]) -> list[int]:
    """Which points to keep of what goes by steps: each at which it changes, and the one before."""
    return [place for place in range(len(values)) if not _stands_still(values, place)]


def _columns(times: Sequence[float], width: float) -> Iterator[tuple[int, int]]:
    """The first place of each column, and the one after its last."""
    first = 0
    for place in range(1, len(times)):
        if int(times[place] // width) != int(times[first] // width):
            yield first, place
            first = place
    if times:
        yield first, len(times)


def _marked(values: Sequence[float], first: int, after: int) -> list[int]:
    column = values[first:after]
    return sorted({first, first + column.index(min(column)), first + column.index(max(column)), after - 1})


def _stands_still(values: Sequence[float], place: int) -> bool:
    """Whether both neighbours are there and have the same value."""
    return 0 < place < len(values) - 1 and values[place - 1] == values[place] == values[place + 1]
