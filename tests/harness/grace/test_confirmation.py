"""Real runs compared with their replays."""

from __future__ import annotations

import pytest

from halfopen.grace.confirmation import AGREES_WITHIN, agreement, confirmations, disagreements
from halfopen.grace.sweep import Candidate, Sweep, Trial
from tests.harness.grace.made import draw, tried

SWEEP = Sweep(7, tuple(draw(number, "dead", "frozen") for number in range(3)), (Candidate(30.0, 2.0, "bytes-acked"),))


def real(number: int, at: float | None, predicted: float | None, outcome: str = "reaped") -> Trial:
    return tried(number, 0, outcome, reaped_at=at, real=True, predicted=True, predicted_at=predicted)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("at", "predicted", "agrees"),
    [
        (36.0, 36.0, True),
        (36.0, 36.0 + AGREES_WITHIN / 2, True),
        (36.0, 36.0 - 2 * AGREES_WITHIN, False),
        (36.0, None, False),
        (None, 36.0, False),
        (None, None, True),
    ],
)
def test_a_replay_agrees_if_it_reaps_at_the_same_moment_or_not_at_all(
    at: float | None, predicted: float | None, agrees: bool
) -> None:
    found = confirmations(SWEEP, [real(0, at, predicted)])
    assert [one.agrees for one in found] == [agrees]
    assert len(disagreements(found)) == (not agrees)


@pytest.mark.parametrize(
    ("recorded", "agrees"),
    [
        (tried(0, 0, "reaped", reaped_at=36.02), True),
        (tried(0, 0, "reaped", reaped_at=38.0), False),
        (tried(0, 0, "reaped", reaped_at=38.0, alternatives=(36.01, None)), True),
        (tried(0, 0, "kept"), False),
        (tried(0, 0, "kept", duration=35.0), True),
        (tried(0, 0, "unproved"), True),
    ],
)
def test_what_the_rates_are_made_of_must_agree_too_if_it_was_seen_for_so_long(recorded: Trial, agrees: bool) -> None:
    (one,) = confirmations(SWEEP, [real(0, 36.0, 36.0), recorded])
    assert one.agrees is agrees
    if not agrees:
        assert str(one).endswith(" but its replay says reaped at 38.000s" if recorded.reaped_at else "says not reaped")


def test_what_is_unproved_or_was_not_replayed_confirms_nothing() -> None:
    assert confirmations(SWEEP, [real(0, None, None, "unproved"), tried(1, 0, "reaped", real=True)]) == ()
    assert agreement(()) == ""


def test_how_many_agree_and_how_well_is_said_in_a_line() -> None:
    found = confirmations(SWEEP, [real(1, 36.0, 36.008), real(0, 36.0, 36.012), real(2, 36.0, None)])
    assert agreement(found) == "2 of 3 real runs agree with their replay to 12ms, 2 of them on a reap"
    assert str(found[2]) == (
        "0002-frozen, bytes-acked grace 30s poll 2s: reaped at 36.000s, but its replay says not reaped"
    )
