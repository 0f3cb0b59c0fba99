"""Points left out of a curve are not visibly missing."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from halfopen.report import thinning

CURVES = st.lists(st.tuples(st.integers(1, 400), st.integers(0, 5)), max_size=60).map(
    lambda pairs: (list(itertools.accumulate(gap for gap, _ in pairs)), [value for _, value in pairs])
)


def between(times: list[int], values: list[int], places: list[int], at: int) -> float:
    """Return the value at a moment of the line through the kept points."""
    after = next(place for place in places if times[place] >= at)
    if times[after] == at:
        return values[after]
    before = max(place for place in places if times[place] < at)
    share = (at - times[before]) / (times[after] - times[before])
    return values[before] + share * (values[after] - values[before])


@given(CURVES, st.integers(1, 2000))
def test_in_every_column_lowest_and_highest_survive(curve: tuple[list[int], list[int]], width: int) -> None:
    times, values = curve
    places = thinning.kept(times, values, width)
    for _, column in itertools.groupby(range(len(times)), lambda place: times[place] // width):
        there = list(column)
        seen = [between(times, values, places, times[place]) for place in there]
        assert min(seen) == min(values[place] for place in there)
        assert max(seen) == max(values[place] for place in there)


@given(CURVES, st.integers(1, 2000))
def test_the_ends_stay_and_nothing_is_made_up(curve: tuple[list[int], list[int]], width: int) -> None:
    times, values = curve
    places = thinning.kept(times, values, width)
    assert places == sorted(set(places))
    assert not times or (places[0], places[-1]) == (0, len(times) - 1)


@given(CURVES, st.integers(1, 2000))
def test_a_column_takes_six_points_at_most(curve: tuple[list[int], list[int]], width: int) -> None:
    times, values = curve
    places = thinning.kept(times, values, width)
    for _, column in itertools.groupby(places, lambda place: times[place] // width):
        assert len(list(column)) <= 6


def test_what_stands_still_is_two_points() -> None:
    assert thinning.kept(range(1000), [7] * 1000, 10) == [0, 999]
    assert thinning.changes([7] * 1000) == [0, 999]


def test_the_moment_of_a_change_is_exact() -> None:
    values = [0] * 500 + [9] * 500
    assert thinning.kept(range(1000), values, 300) == [0, 499, 500, 999]


@given(st.lists(st.integers(0, 3), max_size=60))
def test_of_steps_each_is_kept(values: list[int]) -> None:
    places = thinning.changes(values)
    for before, after in itertools.pairwise(range(len(values))):
        if values[before] != values[after]:
            assert {before, after} <= set(places)
