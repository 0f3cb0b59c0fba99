"""The kernel's counters second by second, and their sparklines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfopen.model.timeline import Sample
from halfopen.repro.counters import COUNTERS, REMEMBERED, History, sparkline
from tests.harness.lines import flowing, held, sample, stuck


@pytest.mark.parametrize(
    ("values", "drawn"),
    [
        ([0, 0, 0], "▁▁▁"),
        ([0, 1, 7], "▁▂█"),
        ([0, 1, 1000], "▁▂█"),
        ([None, 5, 0], " █▁"),
        ([3], "█"),
    ],
)
def test_nothing_is_the_lowest_and_anything_is_higher(values: list[int | None], drawn: str) -> None:
    assert sparkline(values, len(values)) == drawn


def test_what_is_longer_is_drawn_by_the_largest_of_each_share() -> None:
    assert sparkline([0, 0, 8, 0, 0, 0], 3) == "▁█▁"


def test_what_is_young_is_drawn_as_wide_as_it_goes() -> None:
    assert sparkline([None] * 57 + [1, 2, 4], 3) == "▃▅█"


@given(st.lists(st.none() | st.integers(0, 1 << 40), min_size=1, max_size=REMEMBERED), st.integers(1, 100))
def test_a_line_is_as_wide_as_asked_and_shows_its_peak(values: list[int | None], width: int) -> None:
    drawn = sparkline(values, width)
    assert len(drawn) == width
    assert ("█" in drawn) == any(values)


def history(*parts: list[Sample]) -> History:
    made = History()
    for part in parts:
        made.feed(part)
    return made


def test_the_servers_memory_is_remembered_beside_the_sockets_counters() -> None:
    made = history(flowing(0, 3))
    made.feed_processes([held(0.5, rss=10), held(1.5, rss=20), held(1.9, rss=30)])
    assert made.series(2)["rss"][-3:] == [10, 30, None]
    assert made.processes == held(1.9, rss=30)
    assert made.last is not None
    assert made.last.t < 3


def test_a_second_shows_the_last_value_in_it_and_one_without_samples_none() -> None:
    made = history([sample(0.2, outq=5), sample(0.9, outq=7)], [sample(2.1, outq=9)])
    assert made.series(2.5)["outq"][-4:] == [None, 7, None, 9]


def test_what_adds_up_is_shown_by_what_it_grew_by() -> None:
    made = history([sample(float(t), bytes_acked=100 * t * t) for t in range(4)])
    assert made.series(3.0)["bytes_acked"][-4:] == [0, 100, 300, 500]


def test_a_minute_is_remembered() -> None:
    made = history([sample(float(t), outq=t) for t in range(200)])
    series = made.series(199.0)
    assert set(series) == {counter.name for counter in COUNTERS}
    assert series["outq"] == list(range(200 - REMEMBERED, 200))


def test_nothing_moves_since_the_kernel_says_that_the_last_acknowledgement_came() -> None:
    made = history(flowing(0, 5), stuck(5, 8, last_ack_recv=40))
    assert made.still_since == pytest.approx(4.96, abs=0.01)
    made.feed([sample(8.1, outq=1000, bytes_acked=10**6)])
    assert made.still_since == pytest.approx(8.1)
    made.feed([sample(8.2, outq=0, bytes_acked=10**6)])
    assert made.still_since is None


def test_what_is_queued_after_a_pause_is_still_since_it_was_queued() -> None:
    assert history([sample(1.0), sample(2.0)], [sample(t, outq=5) for t in (3.0, 4.0)]).still_since == 3.0
