"""Formats of numbers."""

from __future__ import annotations

import pytest

from halfopen.grace import number_format
from halfopen.grace.rates import Rate


@pytest.mark.parametrize(
    ("share", "shown"), [(0, "0 %"), (0.00096, "0.096 %"), (0.001, "0.1 %"), (0.1234, "12 %"), (1, "100 %")]
)
def test_shares_are_read_in_percent(share: float, shown: str) -> None:
    assert number_format.percent(share) == shown


def test_an_interval_has_its_unit_once() -> None:
    assert number_format.interval(0.0015, 0.012) == "0.15 - 1.2 %"


@pytest.mark.parametrize(("rate", "shown"), [(Rate(3, 4000), "3 of 4,000"), (Rate(0, 0), "")])
def test_counts_say_of_how_many(rate: Rate, shown: str) -> None:
    assert number_format.count(rate) == shown


@pytest.mark.parametrize(("at_least", "shown"), [(False, "120.0s"), (True, "≥ 120.0s")])
def test_a_seat_that_is_still_held_is_held_at_least_so_long(at_least: bool, shown: str) -> None:
    assert number_format.held(120.0, at_least=at_least) == shown
