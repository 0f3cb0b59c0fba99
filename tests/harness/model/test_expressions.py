from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfopen.model.expressions import Expression
from halfopen.netns.lab_errors import UnitError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30.0),
        ("20ms", 0.02),
        ("13min", 780.0),
        ("1h", 3600.0),
        ("grace", 30.0),
        ("2.6 * grace", 78.0),
        ("grace * 2.6", 78.0),
        ("grace / 2", 15.0),
        ("grace + poll + 1s", 33.0),
        ("2 * (grace + poll)", 64.0),
        ("grace - 500ms", 29.5),
        ("  1.5 s ", 1.5),
    ],
)
def test_durations_are_written_in_grace_and_poll(text: str, seconds: float) -> None:
    assert Expression.parse(text).seconds(grace=30, poll=2) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (30, 'a duration needs a unit: got 30, write "30s"'),
        (2.5, 'write "2.5s"'),
        ("30", "a duration needs a unit: got '30'"),
        ("grace + 1", "a bare number cannot be added to a duration: 'grace + 1'"),
        ("grace * poll", "not a duration: 'grace * poll'"),
        ("30 / grace", "not a duration"),
        ("grace / 0", "not a duration"),
        ("1fortnight", "unknown unit 'fortnight'"),
        ("grce", "not a duration: 'grce'"),
        ("grace +", "not a duration"),
        ("", "not a duration"),
        ("0s - grace", "a duration cannot be negative"),
        ("__import__('os')", "not a duration"),
        ("grace if poll else poll", "not a duration"),
        ("True * grace", "not a duration"),
    ],
)
def test_what_is_no_duration_is_refused_with_what_would_be_right(text: object, says: str) -> None:
    with pytest.raises(UnitError) as caught:
        Expression.parse(text)
    assert says in str(caught.value)


@given(st.text(max_size=30))
def test_any_text_is_a_duration_or_a_unit_error(text: str) -> None:
    try:
        seconds = Expression.parse(text).seconds(grace=30, poll=2)
    except UnitError:
        return
    assert isinstance(seconds, float)
