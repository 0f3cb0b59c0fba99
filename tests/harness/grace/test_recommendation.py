"""Recommended graces, and never one on too little evidence."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from halfopen.grace.confirmation import Confirmation
from halfopen.grace.estimates import Cost, Estimates, GracePoint
from halfopen.grace.rates import Rate
from halfopen.grace.recommendation import Recommendation, recommend
from halfopen.grace.sweep import Candidate


def point(
    grace: float,
    times: int,
    trials: int,
    *,
    missed: int = 0,
    dead: int = 60,
    told: int = 0,
    detector: str = "bytes-acked",
) -> GracePoint:
    return GracePoint(
        candidate=Candidate(grace, 2.0, detector),
        false_reaps=Rate(times, trials),
        causes=(),
        missed=Rate(missed, dead),
        unnoticed=Rate(missed, dead - told),
        deaths=(),
        from_onset=(),
        from_fault=(),
        outside=0,
        cost=Cost(grace + 1, at_least=bool(missed)) if dead else None,
        steps=(),
        survivals=(),
    )


def recommended(
    points: Sequence[GracePoint], confirmed: Sequence[Confirmation] = (), most: float = 0.001
) -> Recommendation:
    return recommend(Estimates(tuple(points), tuple(confirmed), tried=1, planned=1), most)


def test_the_smallest_that_is_shown_to_be_good_enough() -> None:
    found = recommended([point(20, 40, 8000), point(30, 9, 8000), point(45, 0, 8000), point(60, 0, 8000)])
    assert found.point is not None
    assert found.point.candidate.grace == 45
    assert found.why == (
        "grace 45s is the smallest with at most 0.1 % false reaps: 0 of 8,000 live sessions reaped (at most 0.048 %); "
        "with 30s it was 9 of 8,000 live sessions reaped (0.11 %, at most 0.21 %). "
        "Against the incident's 30s a dead session holds its seat for 46.0 s, 15.0 s longer, "
        "and less than 480 of a million live ones are reaped, not 1,125."
    )


def test_nothing_on_too_little_but_what_it_takes() -> None:
    found = recommended([point(30, 2, 400), point(60, 0, 400)])
    assert (found.point, found.more_runs) == (None, 3838 - 400)
    assert "it takes 3,438 more live sessions, if none of them is reaped" in found.why


def test_one_run_less_than_is_needed_is_too_little() -> None:
    assert recommended([point(60, 0, 3837)]).more_runs == 1
    assert recommended([point(60, 0, 3838)]).point is not None


def test_more_runs_are_no_help_where_all_are_shown_to_be_too_short() -> None:
    found = recommended([point(5, 400, 4000), point(10, 200, 4000)])
    assert (found.point, found.more_runs) == (None, None)
    assert "even bytes-acked grace 10s poll 2s has 200 of 4,000" in found.why


def test_a_detector_that_sees_no_dead_client_is_none_however_kind() -> None:
    found = recommended([point(5, 0, 8000, missed=60, detector="none"), point(60, 0, 8000)])
    assert found.point is not None
    assert found.point.candidate.detector == "bytes-acked"
    found = recommended([point(5, 0, 8000, missed=60)])
    assert (found.point, found.more_runs) == (None, None)
    assert found.why == (
        "nothing that was tried notices dead clients well enough: even bytes-acked grace 5s poll 2s missed 60 of 60 "
        "silent ones, whose kernel sends nothing (at most 100 %)"
    )


def test_who_is_told_by_the_clients_kernel_has_noticed_nobody() -> None:
    assert recommended([point(5, 0, 8000, missed=872, dead=960, told=88)]).point is None


def test_without_dead_clients_nothing_is_recommended() -> None:
    found = recommended([point(30, 0, 8000, dead=0)])
    assert found.point is None
    assert found.why.startswith("no silent dead client was tried")


def test_too_few_dead_clients_are_too_few() -> None:
    found = recommended([point(30, 0, 8000, dead=9)])
    assert found.point is None
    assert found.why == (
        "too little is known of dead clients: bytes-acked grace 30s poll 2s missed 0 of 9 silent ones, whose "
        "kernel sends nothing (at most 30 %)"
    )


def test_of_a_seat_that_is_held_for_who_knows_how_long_no_difference_is_told() -> None:
    why = recommended([point(30, 4000, 8000, dead=400, missed=2), point(45, 0, 8000, dead=400, missed=2)]).why
    assert "holds its seat for at least 46.0 s, not at least 31.0 s, and" in why


def test_one_of_which_little_is_known_is_not_refuted_by_another() -> None:
    found = recommended([point(5, 400, 4000), point(10, 0, 10)])
    assert (found.point, found.more_runs) == (None, 3828)


def test_of_several_the_one_that_misses_less_then_the_cheaper() -> None:
    misses, slow, quick = (
        point(5, 0, 8000, missed=1, detector="ping"),
        point(60, 0, 8000),
        point(45, 0, 8000, detector="outq"),
    )
    found = recommended([misses, slow, quick])
    assert found.point is quick
    assert found.why.startswith("outq grace 45s poll 2s is the smallest")


def test_what_it_misses_is_said() -> None:
    assert "It missed 3 of 200 dead clients." in recommended([point(45, 0, 8000, missed=3, dead=200)]).why


def test_the_incidents_own_is_called_so() -> None:
    assert recommended([point(30, 0, 8000)]).why.endswith(
        "It is the incident's own: a dead session holds its seat for 31.0 s."
    )


def test_a_replay_that_is_wrong_recommends_nothing() -> None:
    wrong = Confirmation("0001-frozen", "bytes-acked grace 30s poll 2s", 36.0, None)
    found = recommended([point(60, 0, 8000)], [wrong])
    assert found.point is None
    assert found.why.startswith("a real run disagrees")


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(30, 20000)), min_size=1, max_size=8))
def test_what_is_recommended_is_always_shown_to_be_good_enough(counts: list[tuple[int, int]]) -> None:
    points = [point(10.0 * nth, times, trials) for nth, (times, trials) in enumerate(counts, 1)]
    found = recommended(points)
    enough = [one for one in points if one.false_reaps.high < 0.001]
    assert found.point is (enough[0] if enough else None)
