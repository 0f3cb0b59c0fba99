"""Estimates from sessions."""

from __future__ import annotations

import itertools
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfopen.grace.estimates import Estimates, GracePoint, curve_title, curves, estimate, quantile
from halfopen.grace.sweep import Candidate, Sweep, Trial, TrialOutcome
from tests.harness.grace import made
from tests.harness.grace.made import FAULT, LENGTH, draw, tried

GRACE = Candidate(30.0, 2.0, "bytes-acked")
ALIVE = tuple(draw(number, "mix", cause) for number, cause in enumerate(["outage", "outage", "slow-reader"]))
DEAD = tuple(draw(10 + number, "dead", cause) for number, cause in enumerate(["frozen", "frozen", "vanished"]))
SWEEP = Sweep(7, (*ALIVE, *DEAD), (GRACE,))


def point(*outcomes: Trial) -> GracePoint:
    return estimate(SWEEP, outcomes).points[0]


def reaped(number: int, after: float, *, real: bool = False, onset: float | None = FAULT) -> Trial:
    return tried(number, 0, "reaped", reaped_at=FAULT + after, onset=onset, real=real)


def test_false_reaps_are_counted_of_the_mix_alone() -> None:
    step = draw(20, "staircase", "staircase", outage_s=60, rtt_s=0.1)
    sweep = Sweep(7, (*ALIVE, *DEAD, step), (GRACE,))
    outcomes = [tried(0, 0, "kept"), reaped(1, 30), reaped(10, 31), reaped(20, 31)]
    found = estimate(sweep, outcomes).points[0].false_reaps
    assert (found.times, found.trials) == (1, 2)


def test_each_cause_has_its_own_count() -> None:
    causes = point(tried(0, 0, "kept"), reaped(1, 30), tried(2, 0, "kept")).causes
    assert [(one.name, one.wrong.times, one.wrong.trials) for one in causes] == [
        ("outage", 1, 2),
        ("slow-reader", 0, 1),
    ]


@pytest.mark.parametrize("outcome", ["unproved", "closed"])
def test_what_says_nothing_is_neither_kept_nor_reaped(outcome: TrialOutcome) -> None:
    found = point(tried(0, 0, outcome), tried(1, 0, "kept"), tried(10, 0, outcome), reaped(11, 31))
    assert (found.false_reaps.trials, found.missed.trials) == (1, 1)
    assert found.causes[0].unproved + found.causes[0].closed == 1
    assert found.deaths[0].unproved + found.deaths[0].closed == 1


def test_a_reap_is_dated_from_the_onset_and_from_the_fault() -> None:
    found = point(reaped(10, 31, onset=FAULT + 0.5))
    assert (found.from_onset, found.from_fault) == ((30.5,), (31.0,))


def test_a_death_without_a_stall_has_only_its_fault() -> None:
    found = point(reaped(10, 31, onset=None))
    assert (found.from_onset, found.from_fault) == ((), (31.0,))


@pytest.mark.parametrize(("after", "outside"), [(29.9, 1), (30.0, 0), (32.0, 0), (32.1, 1)])
def test_a_reap_is_expected_from_grace_to_grace_and_poll(after: float, outside: int) -> None:
    assert point(reaped(10, after)).outside == outside


@pytest.mark.parametrize(("heard", "outside"), [(0.2, 0), (0.05, 1)])
def test_nobody_may_be_reaped_before_the_grace_is_up_since_it_was_heard_of(heard: float, outside: int) -> None:
    """An onset is dated to the sample that first shows it, and a detector may have polled before."""
    early = msgspec.structs.replace(reaped(10, 29.9), heard_at=FAULT - heard)
    assert point(early).outside == outside


def test_a_dead_client_that_is_kept_is_missed_and_costs_at_least_what_was_seen() -> None:
    found = point(reaped(10, 31), tried(12, 0, "kept"))
    assert (found.missed.times, found.missed.trials) == (1, 2)
    assert found.cost is not None
    assert found.cost.at_least
    assert found.cost.seconds == pytest.approx((31 + LENGTH - FAULT) / 2)


def test_the_cost_is_the_mean_of_clients_as_the_mix_has_drawn_their_kinds() -> None:
    found = point(reaped(10, 30), reaped(11, 32), reaped(12, 41))
    assert found.cost is not None
    assert found.cost.seconds == pytest.approx((30 + 32 + 41) / 3)
    assert [one.cost.seconds for one in found.deaths if one.cost] == pytest.approx([31, 41])
    assert not found.cost.at_least


def test_a_real_run_of_what_was_replayed_is_not_counted_twice() -> None:
    for outcomes in itertools.permutations([tried(0, 0, "kept"), reaped(0, 30, real=True), tried(1, 0, "kept")]):
        assert (point(*outcomes).false_reaps.times, point(*outcomes).false_reaps.trials) == (0, 2)


def test_a_real_run_of_what_is_replayed_counts_not_even_where_nothing_was_yet() -> None:
    """Otherwise a stopped sweep would report some graces on other sessions than others."""
    assert point(reaped(0, 30, real=True)).false_reaps.trials == 0


def test_a_real_run_counts_where_it_is_all_there_is() -> None:
    sweep = msgspec.structs.replace(SWEEP, candidates=(Candidate(30.0, 2.0, "outq"),))
    assert estimate(sweep, [reaped(0, 30, real=True)]).points[0].false_reaps.times == 1


def test_of_nothing_there_are_points_without_numbers() -> None:
    found = estimate(SWEEP, [])
    assert (found.tried, found.planned) == (0, 6)
    assert found.points[0].false_reaps.share is None
    assert found.points[0].cost is None
    assert [one.name for one in found.points[0].causes] == ["outage", "slow-reader"]


def test_curves_are_by_detector_and_poll_and_in_order_of_grace() -> None:
    who = tuple(Candidate(grace, poll, "outq") for grace in (30.0, 5.0) for poll in (1.0, 2.0))
    groups = curves(estimate(Sweep(7, (), who), []).points)
    assert [(key, [one.candidate.grace for one in its]) for key, its in groups.items()] == [
        (("outq", 1.0), [5.0, 30.0]),
        (("outq", 2.0), [5.0, 30.0]),
    ]


@given(st.integers(0, 2**32))
def test_the_order_in_which_sessions_come_in_changes_nothing(seed: int) -> None:
    sweep = made.sweep(made.candidates("outq", graces=(5.0, 30.0)), runs=20, dead=6, staircase=False)
    outcomes = made.outcomes(sweep)
    shuffled = random.Random(seed).sample(outcomes, len(outcomes))
    assert estimate(sweep, shuffled) == estimate(sweep, outcomes)


@pytest.fixture(scope="module")
def whole() -> Estimates:
    return made.estimates("bytes-acked")


def test_a_longer_grace_kills_no_more_and_survives_no_less(whole: Estimates) -> None:
    for shorter, longer in itertools.pairwise(whole.points):
        assert longer.false_reaps.times <= shorter.false_reaps.times
        assert shorter.survived is not None
        assert longer.survived is not None
        assert (longer.survived.survived or 0) >= (shorter.survived.survived or 0)
        assert (quantile(longer.from_onset, 50) or 0) > (quantile(shorter.from_onset, 50) or 0)


def test_no_reap_is_out_of_bounds(whole: Estimates) -> None:
    assert [point.outside for point in whole.points] == [0] * len(made.GRACES)


def test_quantiles_lie_between_the_nearest_two() -> None:
    seconds = (30.0, 30.5, 31.0, 31.5, 32.0)
    assert (quantile(seconds, 50), quantile(seconds, 99)) == (31.0, 31.98)


def test_of_one_all_quantiles_are_the_same_and_of_nothing_there_are_none() -> None:
    assert {quantile((3.0,), percent) for percent in (1, 50, 99)} == {3.0}
    assert quantile((), 50) is None


@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=200))
def test_quantiles_are_in_order(seconds: list[float]) -> None:
    ascending = sorted(seconds)
    values = [ascending[0], quantile(ascending, 50), quantile(ascending, 99), ascending[-1]]
    slack = 1e-9 * ascending[-1]
    assert all(a <= b + slack for a, b in itertools.pairwise(values))  # type: ignore[operator]


@pytest.mark.parametrize(
    ("key", "shown"), [(("outq", 2.0), "outq, poll 2s"), ((None, 2.0), "the server's own detector")]
)
def test_what_a_curve_is_called(key: tuple[str | None, float], shown: str) -> None:
    assert curve_title(*key) == shown
