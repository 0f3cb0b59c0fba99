"""At most so many sessions are ended in a minute."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfopen.guard import reap_limit
from halfopen.guard.reap_limit import FEWEST, ReapBudget, ReapLimit
from halfopen.netns.lab_errors import UnitError


@pytest.mark.parametrize(
    ("text", "limit"),
    [("10%/min", ReapLimit(0.1)), ("20/min", ReapLimit(None, 20)), (" 2.5 % / min ", ReapLimit(0.025))],
)
def test_a_limit_is_a_share_or_a_number(text: str, limit: ReapLimit) -> None:
    assert reap_limit.parse(text) == limit
    assert reap_limit.parse(str(limit)) == limit


@pytest.mark.parametrize(
    "text", ["", "10", "10%", "10%/h", "0/min", "0%/min", "-3/min", "200%/min", "many/min", "1.5/min"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UnitError):
        reap_limit.parse(text)


def test_a_share_of_few_sessions_allows_some_all_the_same() -> None:
    assert ReapLimit(0.1).most(2) == FEWEST
    assert ReapLimit(0.1).most(200) == 20
    assert ReapLimit(None, 1).most(200) == 1


def test_the_share_is_of_all_sessions_with_those_that_were_ended() -> None:
    budget = ReapBudget(ReapLimit(0.5))
    for now in range(20):
        assert budget.left(100 - now, float(now)) == 50 - now
        budget.spend(float(now))
    assert budget.left(80, 65.0) == 33, "six of them are more than a minute ago"


@given(
    st.lists(st.tuples(st.floats(0, 30), st.integers(0, 50)), max_size=60),
    st.integers(1, 20),
)
def test_no_minute_has_more_than_the_limit(attempts: list[tuple[float, int]], most: int) -> None:
    budget, now, ended = ReapBudget(ReapLimit(None, most)), 0.0, list[float]()
    for gap, wanted in attempts:
        now += gap
        for _ in range(min(wanted, budget.left(1000, now))):
            budget.spend(now)
            ended.append(now)
    assert all(sum(start <= at < start + 60 for at in ended) <= most for start in ended)
