"""Decisions of a guard on all sessions of a server, over polls that are made up."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from halfopen.guard.decision import BrakeReport, Guard, GuardTerms, GuardVerdict, LimitReport
from halfopen.guard.reap_limit import ReapLimit
from halfopen.liveness.common_outage import CommonOutageReport
from halfopen.liveness.rule import Terms
from halfopen.netns.census import RawSample
from tests.harness.guard.test_session_rules import frozen
from tests.harness.watch.sightings import dark, sighting

GRACE, POLL, OUTAGE = 10.0, 2.0, 20.0
START = 1000.0
ALL = ReapLimit(1.0)


def terms(rule: str = "halfopen", limit: ReapLimit = ALL) -> GuardTerms:
    return GuardTerms(Terms(GRACE, POLL, outage=OUTAGE, half_closed=GRACE), rule, limit)


class Scene:
    """A guard and its polls."""

    def __init__(self, guard_terms: GuardTerms) -> None:
        self.guard = Guard(guard_terms)
        self.reports: list[BrakeReport] = []
        self.guard.on_brake = self.reports.append
        self.now = START - POLL
        self.ended: list[int] = []

    def poll(self, samples: Iterable[RawSample], sessions: int = 3, *, is_whole: bool = True) -> list[GuardVerdict]:
        self.now += POLL
        return self.guard.follow(samples, self.now, sessions=sessions, is_whole=is_whole)

    def reap(self, verdicts: Iterable[GuardVerdict]) -> None:
        for verdict in verdicts:
            self.guard.ended(verdict, self.now)
            self.ended.append(number(verdict))


def number(verdict: GuardVerdict) -> int:
    return verdict.seen.sample.local.port and verdict.seen.sample.remote.port - 40_000


def stalled(scene: Scene, begun: float, **more: int) -> RawSample:
    return frozen(scene.now + POLL, scene.now + POLL - begun, **more)


@pytest.mark.parametrize("is_whole", [True, False])
@pytest.mark.parametrize("rule", ["halfopen", "bytes-acked"])
def test_the_frozen_is_ended_and_the_living_are_not(rule: str, is_whole: bool) -> None:
    scene, begun = Scene(terms(rule)), START + 3 * POLL + 0.5
    at = None
    while at is None and scene.now < begun + 3 * GRACE:
        is_frozen = scene.now + POLL > begun
        samples = quiet(scene, [2] if is_frozen else [1, 2]) if is_whole else []
        if is_frozen:
            samples.append(stalled(scene, begun, bytes_acked=2000, bytes_sent=2000))
        verdicts = scene.poll(samples, is_whole=is_whole)
        at = scene.now if verdicts else None
        assert [number(verdict) for verdict in verdicts] == [1] * len(verdicts)
    assert at is not None
    assert GRACE <= at - begun <= GRACE + 2 * POLL


def test_a_stall_begins_no_earlier_than_the_last_poll_that_did_not_bring_the_session() -> None:
    scene = Scene(terms())
    scene.poll(quiet(scene, [1]))
    for _ in range(5):
        scene.poll([], is_whole=False)
    begun = scene.now
    while not scene.poll([stalled(scene, begun)], is_whole=False):
        assert scene.now < begun + GRACE
    assert scene.now - begun == GRACE


def test_a_session_that_was_stuck_before_the_first_poll_gets_a_whole_grace() -> None:
    scene = Scene(terms())
    while not scene.poll([stalled(scene, START - 1000)]):
        assert scene.now < START + 2 * GRACE
    assert scene.now >= START + GRACE


def test_an_ended_session_is_reported_once_more_if_its_server_keeps_it_open() -> None:
    scene = Scene(terms(limit=ReapLimit(None, 1)))
    while not (verdicts := scene.poll([stalled(scene, START)])):
        pass
    scene.reap(verdicts)
    again: list[GuardVerdict] = []
    for _ in range(30):
        verdicts = scene.poll([sighting(scene.now + POLL, state="FIN_WAIT1", outq=9)])
        for verdict in verdicts:
            scene.guard.ended(verdict, scene.now)
        again += verdicts
    assert [verdict.is_again for verdict in again] == [True]


def test_a_session_that_was_only_reported_is_reported_again_after_it_moved() -> None:
    scene, count = Scene(terms("bytes-acked")), 0
    for acked in (1000, 2000):
        for _ in range(20):
            for verdict in scene.poll([stalled(scene, START, bytes_acked=acked, bytes_sent=acked)]):
                scene.guard.reported(verdict)
                count += 1
    assert count == 2


def test_a_connection_of_the_server_itself_is_never_ended() -> None:
    scene = Scene(terms())
    for _ in range(40):
        assert scene.poll([stalled(scene, START, bytes_acked=1001)]) == []


def test_an_end_that_is_not_known_to_be_accepted_is_left_alone() -> None:
    scene = Scene(terms())
    for _ in range(40):
        assert scene.poll([sighting(scene.now + POLL, state="FIN_WAIT1", outq=9)]) == []


def test_the_kernels_minisockets_are_passed_over() -> None:
    scene = Scene(terms())
    whole = sighting(START)
    assert scene.poll([whole._replace(body=whole.body[:72])]) == []


def gone_dark(scene: Scene, at: float, numbers: Iterable[int]) -> list[RawSample]:
    """Return sessions whose path has been dark since then."""
    now, retransmits = scene.now + POLL, 0
    while at + 0.204 * (2 ** (retransmits + 1) - 1) <= now:
        retransmits += 1
    waited = now - at - 0.204 * (2**retransmits - 1)
    return [dark(now, retransmits=retransmits, waited=waited, number=n) for n in numbers]


def quiet(scene: Scene, numbers: Iterable[int]) -> list[RawSample]:
    return [sighting(scene.now + POLL, number=n) for n in numbers]


@pytest.mark.parametrize("is_whole", [True, False])
def test_one_in_the_dark_is_ended_after_the_outage(is_whole: bool) -> None:
    scene, at = Scene(terms()), START + 1.0
    scene.poll(quiet(scene, range(10)), 10)
    while not (
        verdicts := scene.poll(
            gone_dark(scene, at, [3]) + (quiet(scene, [0, 1, 2, *range(4, 10)]) if is_whole else []),
            10,
            is_whole=is_whole,
        )
    ):
        assert scene.now < START + 4 * OUTAGE
    assert [number(verdict) for verdict in verdicts] == [3]
    assert scene.now - at >= OUTAGE
    assert scene.reports == []


@pytest.mark.parametrize("rule", ["halfopen", "bytes-acked"])
@pytest.mark.parametrize("is_whole", [True, False])
def test_most_in_the_dark_at_once_are_held_and_released_when_it_is_over(rule: str, is_whole: bool) -> None:
    scene, at, numbers = Scene(terms(rule)), START + 1.0, range(10)
    scene.poll(quiet(scene, numbers), 10)
    while scene.now < at + 1.5 * OUTAGE:
        rest = quiet(scene, range(8, 10)) if is_whole else []
        assert scene.poll(gone_dark(scene, at, range(8)) + rest, 10, is_whole=is_whole) == []
    assert [report.phase for report in scene.reports] == ["held"]
    assert isinstance(scene.reports[0], CommonOutageReport)
    assert scene.guard.holds
    for _ in range(3):
        assert scene.poll(quiet(scene, numbers) if is_whole else [], 10, is_whole=is_whole) == []
    assert [report.phase for report in scene.reports] == ["held", "over"]
    assert not scene.guard.holds


def test_verdicts_beyond_the_limit_wait_for_the_next_minute() -> None:
    scene = Scene(terms(limit=ReapLimit(0.1)))
    numbers = list(range(1, 41))
    began = 0.0
    while len(scene.ended) < len(numbers) and scene.now < START + 1200:
        left = [stalled(scene, START, number=n) for n in numbers if n not in scene.ended]
        verdicts = scene.poll(left, len(left))
        began = began or (scene.now if verdicts else 0.0)
        scene.reap(verdicts)
        if scene.now < began + 60:
            assert len(scene.ended) <= 4
    assert sorted(scene.ended) == numbers
    first, *_, last = scene.reports
    assert isinstance(first, LimitReport)
    assert (first.phase, first.waiting, first.sessions) == ("held", 36, 40)
    assert "--max-reaps 10%/min" in str(first)
    assert last.phase == "over"
    assert len(scene.reports) == 2


def test_ten_dead_among_two_hundred_are_within_the_limit() -> None:
    scene = Scene(terms(limit=ReapLimit(0.1)))
    alive = range(11, 201)
    while not scene.ended and scene.now < START + 3 * GRACE:
        scene.reap(scene.poll([stalled(scene, START, number=n) for n in range(1, 11)] + quiet(scene, alive), 200))
    assert sorted(scene.ended) == list(range(1, 11))
    assert scene.reports == []


def test_sessions_that_are_gone_are_forgotten() -> None:
    scene = Scene(terms())
    for n in range(50):
        scene.poll(quiet(scene, [n]))
    assert len(scene.guard._sessions) == 1


def test_a_session_is_looked_at_between_polls_when_its_grace_ends() -> None:
    scene = Scene(GuardTerms(Terms(GRACE + 1, POLL, half_closed=GRACE + 1), "bytes-acked", ALL))
    while scene.guard.due > scene.now + POLL:
        assert scene.poll([stalled(scene, START)]) == []
        assert scene.now < START + 3 * GRACE
    due = scene.guard.due
    assert [seen.key for seen in scene.guard.urgent(due)] == [stalled(scene, START).key]
    verdicts = scene.guard.follow_urgent([frozen(due, due - START)], due)
    assert [verdict.death.reason for verdict in verdicts] == ["send_stall"]
    assert scene.guard.urgent(due) == []
