"""The judge on ends without a stall: silent deaths, half-closes, faults undone, sessions that just end."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from halfopen.model.expressions import Expression
from halfopen.model.link_spec import LinkSpec
from halfopen.model.timeline import Sample, Timeline
from halfopen.scenario import suites
from halfopen.scenario.spec import Scenario
from halfopen.verdict.judge import Timing, Verdict, due, judge
from tests.harness.lines import Part, event, flowing, line, orphaned, progress, sample, status, stuck, times

TERMS = Timing(grace=30, poll=2)
NOTHING = event(5, "fault", "begun", step=0, fault="noop")


def scenario(name: str, **expect: Any) -> Scenario:
    """Return a shipped scenario, with a fault that needs no proof and another expectation."""
    (found,) = suites.find([name])
    steps = tuple(msgspec.structs.replace(step, fault="noop") for step in found.steps)
    changes = {key: Expression(value) if key in {"within", "hold"} else value for key, value in expect.items()}
    return msgspec.structs.replace(found, steps=steps, expect=msgspec.structs.replace(found.expect, **changes))


def silent(start: float, end: float, **fields: object) -> list[Sample]:
    """Return samples with nothing sent and nothing queued."""
    return [sample(t, bytes_acked=500_001, **fields) for t in times(start, end)]


def judged(its: Scenario, *parts: Part) -> Verdict:
    return judge(its, line(flowing(0, 5), progress(0, 5, its.client.behaviour == "acking"), *parts), TERMS)


def test_a_silent_death_is_counted_from_the_fault() -> None:
    its = scenario("frozen", reason=None, within="2 * grace + poll")
    seen = judged(its, NOTHING, silent(5, 60), orphaned(60, 61, outq=0))
    assert (seen.word, seen.klass, seen.detection) == ("passed", "true_reap", None)
    assert seen.after_fault == pytest.approx(55, abs=0.1)


def test_a_silent_death_noticed_too_late_fails() -> None:
    its = scenario("frozen", reason=None, within="2 * grace + poll")
    seen = judged(its, NOTHING, silent(5, 70), orphaned(70, 71, outq=0))
    assert (seen.word, seen.klass) == ("failed", "true_reap")
    assert seen.why == "session reaped 65.0s after the fault, expected within 62s"


def test_what_a_detector_asks_long_after_a_silent_death_is_no_excuse() -> None:
    asked: list[Part] = [NOTHING, silent(5, 68), stuck(68, 70, bytes_acked=500_001), orphaned(70, 71)]
    since = {since: scenario("frozen", reason=None, within="grace", since=since) for since in ("onset", "fault")}
    assert judged(since["onset"], *asked).word == "passed"
    assert judged(since["fault"], *asked).why == "session reaped 65.0s after the fault, expected within 30s"


def test_a_silent_death_is_missed_only_once_its_deadline_is_over() -> None:
    its = scenario("frozen", within="4 * grace", hold="grace")
    books = [status(1, listed=True)]
    early = judged(its, NOTHING, silent(5, 100), *books, status(100, listed=True))
    late = judged(its, NOTHING, silent(5, 126), *books, status(126, listed=True))
    assert (early.word, early.why) == ("inconclusive", "nothing is proved: looked for 95s only, of 120s")
    assert (late.word, late.klass) == ("failed", "missed")


def test_a_reap_is_due_after_the_onset_or_without_one_after_the_fault() -> None:
    its = scenario("frozen", within="grace")
    stalled = judged(its, NOTHING, flowing(5, 20), stuck(20, 30)).found
    quiet = judged(its, NOTHING, silent(5, 30)).found
    assert due(its, stalled, TERMS) == pytest.approx(50, abs=0.1)
    assert due(its, quiet, TERMS) == 35
    assert due(scenario("paused"), quiet, TERMS) is None


def test_a_client_that_closed_its_writing_side_is_held_until_the_server_ends_its_own() -> None:
    its = scenario("frozen", reason=None, within="grace", since="fault")
    half = [sample(t, state="CLOSE_WAIT", bytes_acked=1 + int(t * 1000)) for t in times(5, 20)]
    seen = judged(its, NOTHING, half, orphaned(20, 21, state="LAST_ACK", outq=0))
    assert (seen.word, seen.klass, seen.found.ended_at) == ("passed", "true_reap", 20)
    assert judged(its, NOTHING, half).klass == "missed"


def test_a_reap_while_the_fault_is_in_force_is_judged_by_what_was_seen_until_then() -> None:
    (its,) = suites.find(["frozen"])
    undone = event(60, "fault", "undone", step=0)
    frozen: list[Part] = [event(5, "fault", "begun", step=0, fault="freeze"), stuck(5, 36), orphaned(36, 38)]
    seen = judge(its, line(flowing(0, 5), progress(0, 5, False), *frozen, undone), TERMS)
    assert (seen.word, seen.klass) == ("passed", "true_reap")


def test_a_client_that_woke_before_it_was_reaped_did_freeze_and_was_noticed_too_late() -> None:
    (its,) = suites.find(["frozen"])
    woke: list[Part] = [
        event(5, "fault", "begun", step=0, fault="freeze"),
        stuck(5, 60),
        event(59.99, "fault", "undone", step=0),
        flowing(60, 70),
        orphaned(70, 71),
    ]
    seen = judge(its, line(flowing(0, 5), progress(0, 5, False), *woke), TERMS)
    assert (seen.word, seen.klass) == ("failed", "true_reap")
    assert "expected within 33s" in seen.why


def test_a_stall_left_alone_is_not_made_good_by_a_later_one() -> None:
    (its,) = suites.find(["frozen"])
    twice: list[Part] = [
        event(5, "fault", "begun", step=0, fault="freeze"),
        stuck(5, 60),
        flowing(60, 61),
        stuck(61, 80),
        orphaned(80, 81),
    ]
    seen = judge(its, line(flowing(0, 5), progress(0, 5, False), *twice), TERMS)
    assert (seen.word, seen.klass) == ("failed", "true_reap")
    assert seen.why == ("session reaped at 80.0s, but a stall of 55s before went unnoticed, expected within 33s")


def goodbye(t: float, code: int = 1001) -> Timeline:
    """Return a timeline in which the server sends a close frame, then ends its side."""
    return line(
        flowing(0, t),
        progress(0, t, True),
        event(t + 0.02, "client", "close_received", code=code),
        orphaned(t, t + 1, outq=0),
        status(1, listed=True),
        status(t + 1, listed=False),
    )


def test_a_session_that_is_to_end_is_closed_when_the_server_says_goodbye() -> None:
    its = msgspec.structs.replace(scenario("clean_close"), steps=())
    seen = judge(its, goodbye(1.5), TERMS)
    assert (seen.word, seen.klass, seen.found.outcome) == ("passed", "closed", "closed")


def test_a_session_that_is_to_end_is_reaped_when_its_socket_just_ends() -> None:
    its = msgspec.structs.replace(scenario("clean_close"), steps=())
    seen = judge(its, line(flowing(0, 1.5), progress(0, 1.5, True), orphaned(1.5, 2.5, outq=0)), TERMS)
    assert (seen.word, seen.klass, seen.found.outcome) == ("failed", "false_reap", "reaped")


def test_a_close_frame_for_want_of_a_pong_is_a_reap() -> None:
    its = msgspec.structs.replace(scenario("clean_close"), steps=())
    assert judge(its, goodbye(1.5, code=1011), TERMS).klass == "false_reap"


def test_a_goodbye_before_anything_was_done_is_a_reap() -> None:
    assert judge(scenario("clean_close"), goodbye(1.5), TERMS).klass == "false_reap"


def test_a_live_client_that_is_said_goodbye_is_reaped() -> None:
    assert judge(scenario("active"), goodbye(40), TERMS).klass == "false_reap"


def test_nothing_that_is_queued_after_a_close_frame_is_a_stall_of_the_session() -> None:
    its = scenario("frozen", reason=None)
    told = event(20, "client", "close_received", code=1001)
    seen = judged(its, NOTHING, flowing(5, 21), told, stuck(21, 40))
    assert (seen.klass, seen.found.stall, seen.detection) == ("true_reap", None, None)


def test_a_fault_that_was_to_be_over_and_was_not_proves_nothing_of_a_client_that_lives() -> None:
    its = msgspec.structs.replace(scenario("outage_27s_rtt20"), link=LinkSpec())
    begun, undone = event(5, "fault", "begun", step=0, fault="noop"), event(32, "fault", "undone", step=0, fault="noop")
    assert judge(its, line(flowing(0, 90), progress(0, 90, True), begun, undone), TERMS).word == "passed"
    short = judge(its, line(flowing(0, 6), progress(0, 5, True), begun), Timing(30, 2, hold=1))
    assert short.word == "inconclusive"
    assert short.why == "nothing is proved: the hold was over before the fault 'noop', which lasts 27s"
