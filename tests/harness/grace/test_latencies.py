"""The median and the tail of detection times."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from halfopen.grace.latencies import Latencies

SECONDS = st.lists(st.floats(0, 1e4), max_size=200)


def test_quantiles_lie_between_the_nearest_two() -> None:
    found = Latencies.of([30.0, 32.0, 31.0, 31.5, 30.5])
    assert (found.median, found.p99) == (31.0, 31.98)


def test_of_nothing_there_is_no_middle() -> None:
    nothing = Latencies()
    assert (nothing.least, nothing.median, nothing.p99, nothing.most) == (None, None, None, None)


def test_of_one_all_are_the_same() -> None:
    assert {Latencies((3.0,)).median, Latencies((3.0,)).p99, Latencies((3.0,)).most} == {3.0}


@given(SECONDS.filter(bool))
def test_they_are_in_order(seconds: list[float]) -> None:
    found = Latencies.of(seconds)
    values = [found.least, found.median, found.p99, found.most]
    assert None not in values
    slack = 1e-9 * max(seconds)
    assert all(a <= b + slack for a, b in itertools.pairwise(values))  # type: ignore[operator]
