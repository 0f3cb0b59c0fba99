"""Rates and their confidence intervals."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfopen.errors import InputError
from halfopen.grace import rates
from halfopen.grace.rates import Rate, trials_needed

COUNTS = st.integers(1, 5000).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials)))


def test_the_interval_is_that_of_wilsons_paper() -> None:
    """Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29."""
    table = ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718))
    for times, trials, low, high in table:
        assert Rate(times, trials).interval == pytest.approx((low, high), abs=5e-5)


def test_without_a_trial_nothing_is_known() -> None:
    assert Rate(0, 0).share is None
    assert Rate(0, 0).interval == (0.0, 1.0)


@given(COUNTS)
def test_the_share_is_within_its_interval(counts: tuple[int, int]) -> None:
    rate = Rate(*counts)
    assert 0 <= rate.low <= (rate.share or 0) + 1e-12
    assert (rate.share or 0) - 1e-12 <= rate.high <= 1


@given(COUNTS)
def test_more_evidence_of_the_same_narrows_it(counts: tuple[int, int]) -> None:
    less, more = Rate(*counts), Rate(counts[0] * 2, counts[1] * 2)
    assert more.high - more.low < less.high - less.low


def test_of_none_it_takes_3838_for_a_thousandth() -> None:
    assert trials_needed(0, 0.001) == 3838


@given(st.integers(0, 60), st.sampled_from([0.0001, 0.001, 0.01, 0.05]))
def test_what_is_needed_is_enough_and_one_less_is_not(times: int, most: float) -> None:
    needed = trials_needed(times, most)
    assert Rate(times, needed).high < most
    assert Rate(times, needed - 1).high >= most - 1e-12


def test_without_scipy_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    with pytest.raises(InputError, match=r"pip install 'halfopen\[grace\]'"):
        rates.require_scipy()


@pytest.mark.parametrize(
    ("share", "shown"), [(0, "0 %"), (0.00096, "0.096 %"), (0.001, "0.1 %"), (0.1234, "12 %"), (1, "100 %")]
)
def test_shares_are_read_in_percent(share: float, shown: str) -> None:
    assert rates.percent(share) == shown


def test_an_interval_has_its_unit_once() -> None:
    assert rates.interval(0.0015, 0.012) == "0.15 - 1.2 %"


@pytest.mark.parametrize(("rate", "shown"), [(Rate(3, 4000), "3 of 4,000"), (Rate(0, 0), "")])
def test_counts_say_of_how_many(rate: Rate, shown: str) -> None:
    assert rates.count(rate) == shown


@pytest.mark.parametrize(("at_least", "shown"), [(False, "120.0s"), (True, "≥ 120.0s")])
def test_a_seat_that_is_still_held_is_held_at_least_so_long(at_least: bool, shown: str) -> None:
    assert rates.held(120.0, at_least=at_least) == shown
