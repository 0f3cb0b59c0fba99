"""Clients that go dark together: a count of them by itself, and whole fleets on made-up time."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halfopen.liveness.common_outage import FEWEST, CommonOutage, CommonOutageReport
from halfopen.liveness.rule import Darkness, Terms
from halfopen.liveness.schedule import TURNS
from tests.harness.liveness.fleet import Fleet

GRACE, POLL = 30.0, 2.0
TERMS = Terms(GRACE, POLL)
OUTAGE, COMMON = TERMS.longest_outage, TERMS.longest_common_outage
#: When the path of many goes dark, and when it has been so for an outage.
ONSET = 1000.0
LATE = ONSET + OUTAGE + POLL
RTOS = [0.2, 0.22, 0.35, 0.5, 0.71, 0.9]


def dark(since: float = ONSET, until: float = LATE) -> Darkness:
    """Return the darkness of a session to which something is sent all the time."""
    return Darkness(since - 0.05, since + POLL / 2, until)


class Counted:
    """A common outage among sessions that a test sets."""

    def __init__(self, sessions: Sequence[Darkness | None], terms: Terms = TERMS) -> None:
        self.sessions = sessions
        self.counts = 0
        self.outage = CommonOutage(terms, self._count)
        self.reports: list[CommonOutageReport] = []
        self.outage.on_change = self.reports.append

    def _count(self) -> Sequence[Darkness | None]:
        self.counts += 1
        return self.sessions

    def phases(self) -> list[str]:
        return [report.phase for report in self.reports]


@pytest.mark.parametrize(
    ("gone", "alive", "is_spared"),
    [
        (1, 0, False),
        (2, 0, False),
        (3, 0, True),
        (3, 2, True),
        (3, 3, False),
        (48, 2, True),
        (1, 49, False),
        (50, 50, False),
    ],
)
def test_more_than_half_of_at_least_three_make_a_common_outage(gone: int, alive: int, is_spared: bool) -> None:
    counted = Counted([dark()] * gone + [None] * alive)
    assert counted.outage.spares(dark(), LATE) is is_spared
    assert counted.outage.in_progress is is_spared


def test_one_that_went_dark_long_before_the_others_is_not_spared() -> None:
    before = dark(ONSET - 5 * POLL)
    counted = Counted([before] + [dark()] * 9)
    assert not counted.outage.spares(before, LATE)
    assert not counted.outage.in_progress, "its verdict is no reason to hold others back"
    assert counted.outage.spares(dark(), LATE)
    assert not counted.outage.spares(before, LATE)


def test_those_that_went_dark_one_by_one_are_not_spared() -> None:
    sessions = [dark(ONSET + 4 * POLL * number) for number in range(10)]
    counted = Counted(sessions)
    assert not any(counted.outage.spares(session, LATE + 40 * POLL) for session in sessions)
    assert counted.reports == []


def test_a_silent_client_may_have_gone_dark_at_any_moment_since_it_was_heard() -> None:
    silent = Darkness(ONSET - GRACE / 2, ONSET + GRACE / 2, LATE + GRACE / 2)
    counted = Counted([dark(), dark(), silent, None])
    assert counted.outage.spares(silent, LATE + GRACE / 2)


def test_they_are_spared_until_a_common_outage_is_proved_and_not_longer() -> None:
    counted = Counted([dark()] * 5)
    assert counted.outage.spares(dark(), LATE)
    # Much later, but not asked since.
    assert counted.outage.spares(dark(), LATE + 10 * COMMON)
    asked = dark(until=ONSET + POLL / 2 + COMMON)
    counted.sessions = [asked] * 5
    now = asked.last_asked + 1.0
    assert not counted.outage.spares(asked, now)
    assert not counted.outage.spares(asked, now)
    assert counted.phases() == ["held", "expired"]
    assert str(counted.reports[1]).startswith("5 of 5 sessions have been dark since all went dark at once 91.5 s ago")


def test_once_most_have_answered_the_others_are_asked_once_more() -> None:
    counted = Counted([dark()] * 5 + [None])
    assert counted.outage.spares(dark(), LATE)
    counted.sessions = [dark()] * 2 + [None] * 4
    over = LATE + 3 * POLL
    counted.outage.review(over)
    assert counted.phases() == ["held", "over"]
    assert counted.outage.spares(dark(), over + 10 * COMMON), "not asked since"
    asked = dark(until=over + POLL)
    assert not counted.outage.spares(asked, over + POLL + 1.0)
    counted.outage.review(over + COMMON)
    assert counted.phases() == ["held", "over"]


def test_those_left_by_an_outage_that_is_over_do_not_make_another() -> None:
    counted = Counted([dark()] * 3 + [None] * 2)
    assert counted.outage.spares(dark(), LATE)
    counted.sessions = [dark()] * 3 + [None] * 3
    counted.outage.review(LATE + POLL)
    assert counted.phases() == ["held", "over"]
    counted.sessions = [dark(until=LATE + 2 * POLL)] * 3  # those that are alive leave
    assert not counted.outage.spares(dark(until=LATE + 2 * POLL), LATE + 3 * POLL)
    assert counted.phases() == ["held", "over"]


def test_while_it_lasts_sessions_are_counted_once_a_poll() -> None:
    counted = Counted([dark()] * 1000)
    for number in range(5 * TURNS):
        assert counted.outage.spares(dark(), LATE + POLL * number / TURNS)
        counted.outage.review(LATE + POLL * number / TURNS)
    assert counted.counts <= 5


@pytest.mark.parametrize("since", [ONSET - GRACE, ONSET + GRACE])
def test_those_that_went_dark_at_another_time_do_not_prolong_it(since: float) -> None:
    counted = Counted([dark()] * 5)
    assert counted.outage.spares(dark(), LATE)
    counted.sessions = [dark()] + [dark(since)] * 2 + [None] * 2
    counted.outage.review(LATE + POLL)
    assert [(report.phase, report.dark) for report in counted.reports] == [("held", 5), ("over", 1)]


def test_while_thousands_wait_to_be_asked_once_more_nothing_is_counted() -> None:
    counted = Counted([dark()] * 1000 + [None] * 100)
    assert counted.outage.spares(dark(), LATE)
    counted.sessions = [dark()] * 500 + [None] * 600
    counted.outage.review(LATE + POLL)
    counts = counted.counts
    assert all(counted.outage.spares(dark(), LATE + poll * POLL) for poll in range(2, 20))
    assert counted.counts == counts


def test_another_outage_is_reported_again() -> None:
    counted = Counted([dark()] * 3)
    assert counted.outage.spares(dark(), LATE)
    counted.sessions = [None] * 3
    counted.outage.review(LATE + POLL)
    again = LATE + COMMON
    counted.sessions = [dark(again, again + OUTAGE + POLL)] * 3
    assert counted.outage.spares(counted.sessions[0], again + OUTAGE + POLL)
    assert counted.phases() == ["held", "over", "held"]


def test_it_is_over_once_no_session_is_left() -> None:
    counted = Counted([dark()] * 3)
    assert counted.outage.spares(dark(), LATE)
    counted.outage.close(LATE + POLL)
    counted.outage.close(LATE + POLL)
    assert counted.phases() == ["held", "over"]


@pytest.mark.parametrize("common_outage", [0.0, OUTAGE])
def test_a_common_outage_no_longer_than_an_outage_turns_it_off(common_outage: float) -> None:
    counted = Counted([dark()] * 9, Terms(GRACE, POLL, common_outage=common_outage))
    assert not counted.outage.spares(dark(), LATE)


def test_the_default_is_two_outages() -> None:
    assert Terms(GRACE, POLL).longest_common_outage == 3 * GRACE
    assert Terms(GRACE, POLL, outage=10.0).longest_common_outage == 20.0
    assert Terms(GRACE, POLL, common_outage=300.0).longest_common_outage == 300.0


def test_its_begin_and_its_end_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    counted = Counted([dark()] * 4 + [None])
    with caplog.at_level(logging.WARNING, "halfopen.liveness"):
        for _ in range(3):
            assert counted.outage.spares(dark(), LATE)
        counted.sessions = [dark(), None, None, None, None]
        for poll in range(1, 4):
            counted.outage.review(LATE + poll * POLL)
    began, ended = caplog.messages
    assert began.startswith("4 of 5 sessions went dark at once 46.5 s ago, as if this server's own uplink were out")
    assert began.endswith("they are not ended before they have been dark for 90.0 s")
    assert ended == "the common outage is over after 48.5 s; 1 of 5 sessions are still dark"


def test_a_callback_that_fails_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: CommonOutageReport) -> None:
        raise RuntimeError("no")

    counted = Counted([dark()] * 3)
    counted.outage.on_change = fail
    assert counted.outage.spares(dark(), LATE)
    assert "on_change failed" in caplog.text


def test_thousands_that_die_at_once_are_counted_once_a_turn() -> None:
    counted = Counted([dark()] * 1000 + [None] * 9000)
    moments = [LATE + POLL * number / 1000 for number in range(1000)]
    assert not any(counted.outage.spares(dark(), now) for now in moments)
    assert counted.counts <= TURNS + 1


MOMENTS = st.floats(0.0, 20.0) | st.floats(0.0, 60.0)
DARK = st.builds(lambda heard, silent: Darkness(heard, heard + silent, heard + silent + OUTAGE), MOMENTS, MOMENTS)


@given(st.lists(st.none() | DARK, min_size=1, max_size=12), st.data())
def test_whoever_is_spared_shares_a_moment_with_most(sessions: list[Darkness | None], data: st.DataObject) -> None:
    """And whoever shares one with all that are dark is spared, if those are most."""
    gone = [session for session in sessions if session is not None]
    if not gone:
        return
    candidate = data.draw(st.sampled_from(gone))
    is_spared = Counted(sessions).outage.spares(candidate, 130.0 + OUTAGE)

    def at(moment: float) -> int:
        return sum(each.heard_at - POLL <= moment <= each.first_asked + POLL for each in gone)

    shared = [moment for each in gone for moment in (each.heard_at - POLL, each.first_asked + POLL)]
    own = [moment for moment in shared if candidate.heard_at - POLL <= moment <= candidate.first_asked + POLL]
    if is_spared:
        assert max(map(at, own)) >= FEWEST
        assert 2 * max(map(at, own)) > len(sessions)
    if len(gone) >= FEWEST and 2 * len(gone) > len(sessions) and max(map(at, shared)) == len(gone):
        assert is_spared


@settings(max_examples=60)
@given(
    alive=st.integers(0, 4),
    gone=st.integers(5, 9),
    quiet=st.integers(0, 3),
    seconds=st.floats(1.0, COMMON),
    rtos=st.lists(st.sampled_from(RTOS), min_size=1, max_size=6),
    phase=st.floats(0.0, POLL),
)
def test_no_common_outage_up_to_the_bound_ends_a_session(
    alive: int, gone: int, quiet: int, seconds: float, rtos: list[float], phase: float
) -> None:
    fleet = Fleet(TERMS, alive + gone, rtos)
    fleet.run(GRACE + phase)
    lost = fleet.sessions[alive:]
    fleet.darken(lost[quiet:], seconds)
    fleet.darken(lost[:quiet], seconds, is_quiet=True)
    fleet.run(3 * COMMON)
    assert fleet.dead == []
    assert [report.phase for report in fleet.reports] in ([], ["held", "over"])


@pytest.mark.parametrize("is_held", [True, False])
def test_without_it_the_same_outage_ends_them_all(is_held: bool) -> None:
    terms = Terms(GRACE, POLL, common_outage=None if is_held else OUTAGE)
    fleet = Fleet(terms, 6, [0.2])
    fleet.run(GRACE)
    fleet.darken(fleet.sessions, 2 * GRACE)
    fleet.run(3 * COMMON)
    assert (len(fleet.dead), [report.phase for report in fleet.reports]) == (
        (0, ["held", "over"]) if is_held else (6, [])
    )


def test_after_the_bound_the_dead_are_ended() -> None:
    fleet = Fleet(TERMS, 8, RTOS)
    fleet.run(GRACE)
    onset = fleet.now
    fleet.darken(fleet.sessions[2:])
    fleet.run(10 * COMMON)
    assert {session.number for session in fleet.dead} == set(range(2, 8))
    for session in fleet.dead:
        assert session.death is not None
        assert session.death.reason == "unreachable"
        assert session.ended_at is not None
        # Retransmissions are up to as far apart as all before them.
        assert COMMON <= session.ended_at - onset <= 2 * COMMON + 4 * POLL
    assert [report.phase for report in fleet.reports] == ["held", "expired"]


def test_one_that_is_really_dead_is_ended_after_the_others_have_answered() -> None:
    fleet = Fleet(TERMS, 6, RTOS)
    fleet.run(GRACE)
    fleet.darken(fleet.sessions[1:], OUTAGE + GRACE / 2)
    fleet.darken(fleet.sessions[:1])
    fleet.run(2 * COMMON + 4 * POLL)
    assert [session.number for session in fleet.dead] == [0]


def test_one_that_goes_dark_alone_is_ended_as_without_others() -> None:
    """The others are a crowd, and one of them is silent."""

    def seconds(count: int) -> float:
        fleet = Fleet(TERMS, count, [0.2])
        fleet.mute(fleet.sessions[1:2])
        fleet.run(GRACE / 4)
        onset = fleet.now
        fleet.darken(fleet.sessions[:1])
        fleet.run(COMMON)
        (ended_at,) = [session.ended_at for session in fleet.dead if session.number == 0]
        assert ended_at is not None
        assert fleet.reports == []
        return ended_at - onset

    assert seconds(50) == pytest.approx(seconds(1), abs=POLL)


def test_one_that_froze_or_went_dark_before_is_ended_on_time() -> None:
    def ends(is_common: bool) -> list[float | None]:
        fleet = Fleet(TERMS, 10, [0.35])
        fleet.run(GRACE)
        fleet.darken(fleet.sessions[:1])
        fleet.run(GRACE / 2)
        fleet.freeze(fleet.sessions[1:2])
        if is_common:
            fleet.darken(fleet.sessions[2:])
        fleet.run(2.5 * OUTAGE)
        return [session.ended_at for session in fleet.sessions[:2]]

    assert None not in ends(is_common=False)
    assert ends(is_common=True) == pytest.approx(ends(is_common=False), abs=1e-6)
