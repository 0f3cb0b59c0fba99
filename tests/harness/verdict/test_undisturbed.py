"""Verdicts in the light of a session that nothing disturbed, and ends that only look like the server's fault."""

from __future__ import annotations

import msgspec
import pytest

from halfopen.faults import freeze
from halfopen.model.profile import Profile
from halfopen.model.timeline import Event, Timeline
from halfopen.scenario import suites
from halfopen.scenario.spec import Scenario
from halfopen.verdict.judge import Timing, Verdict, judge
from halfopen.verdict.undisturbed import reconsidered, unserved
from tests.harness.lines import RATE, Part, event, flowing, line, orphaned, progress, sample, status, stuck, times

TERMS = Timing(grace=30, poll=2)


def scenario(name: str) -> Scenario:
    (found,) = suites.find([name])
    return found


def reaped(t: float, *more: Part) -> Timeline:
    """Return a frozen client's timeline, reaped at ``t``."""
    begun = event(5, "fault", "begun", step=0, fault="freeze")
    ends: list[Part] = [
        stuck(5, t),
        orphaned(t, t + 2),
        status(1, listed=True),
        status(t + 1, listed=False, session_threads=[]),
    ]
    return line(flowing(0, 5), progress(0, 5, False), begun, *ends, *more)


def ended(t: float, *more: Part) -> Timeline:
    """Return the timeline of a session of a live client that the server ends at ``t``."""
    return line(flowing(0, t), progress(0, t, False), orphaned(t, t + 1, outq=0), *more)


def closed(t: float, code: int, reason: str = "") -> Event:
    return event(t, "client", "close_received", code=code, reason=reason)


def seen(name: str, timeline: Timeline, undisturbed: Timeline) -> Verdict:
    verdict = judge(scenario(name), timeline, TERMS)
    return reconsidered(verdict, timeline, undisturbed, scenario("active"))


@pytest.mark.parametrize(("usual", "word"), [(25.0, "inconclusive"), (36.5, "inconclusive"), (50.0, "passed")])
def test_a_reap_at_the_age_at_which_every_session_ends_proves_nothing(usual: float, word: str) -> None:
    assert seen("frozen", reaped(36.0), ended(usual)).word == word


def test_the_age_is_said() -> None:
    verdict = seen("frozen", reaped(36.0), ended(36.0))
    assert verdict.why == "nothing is proved: the server ends an undisturbed session at 36s too"


def test_an_undisturbed_session_that_is_kept_changes_nothing() -> None:
    kept = line(flowing(0, 120), progress(0, 120, False))
    assert seen("frozen", reaped(36.0), kept).word == "passed"
    assert seen("active", ended(30.0, closed(30, 1000)), kept).word == "failed"


def test_a_close_that_denies_the_session_notices_no_death() -> None:
    denied = event(36, "lab", "close_unread", code=4401, reason="unauthorized")
    assert judge(scenario("frozen"), reaped(36.0, denied), TERMS).word == "inconclusive"


@pytest.mark.parametrize(
    ("code", "reason", "more", "word"),
    [
        (4408, "heartbeat missed", [], "inconclusive"),
        (4000, "idle for 20 s", [], "inconclusive"),
        (4408, "heartbeat missed", [event(10, "client", "ping_received")], "failed"),
        (4408, "heartbeat missed", [event(0, "client", "opened", sends=True)], "failed"),
        (1011, "keepalive ping timeout", [], "failed"),
        (4409, "logged in elsewhere", [], "failed"),
    ],
)
def test_a_server_that_misses_a_heartbeat_may_be_right(code: int, reason: str, more: list[Part], word: str) -> None:
    assert judge(scenario("active"), ended(30.0, closed(30, code, reason), *more), TERMS).word == word


@pytest.mark.parametrize(("code", "reason", "word"), [(1000, "", "inconclusive"), (1000, "session limit", "failed")])
def test_a_close_without_a_word_that_comes_undisturbed_too_may_be_right(code: int, reason: str, word: str) -> None:
    timeline = ended(30.0, closed(30, code, reason))
    assert judge(scenario("active"), timeline, TERMS).word == "failed"
    assert seen("active", timeline, timeline).word == word


def test_a_doubt_about_the_undisturbed_session_holds_under_a_fault() -> None:
    begun, undone = (event(t, "fault", name, step=0, fault="freeze") for t, name in ((5, "begun"), (20, "undone")))
    denied = closed(6, 1008, "unauthorized")
    stopped = ended(20.5, begun, undone, closed(20.5, 1008, "unauthorized"))
    assert judge(scenario("stop_the_world"), stopped, TERMS).word == "failed"
    assert seen("stop_the_world", stopped, ended(6, denied)).word == "inconclusive"
    assert seen("stop_the_world", stopped, ended(6, closed(6, 4409, "logged in elsewhere"))).word == "failed"
    unread = ended(15, begun)
    assert seen("stop_the_world", unread, ended(6, denied)).word == "inconclusive"


@pytest.mark.parametrize(
    ("after", "words", "word"), [(0.02, [], "failed"), (0.2, [], "passed"), (0.2, ["panic: x"], "failed")]
)
def test_a_worker_that_leaves_after_its_last_session_is_no_crash(after: float, words: list[str], word: str) -> None:
    left = event(36 + after, "target", "serving_process_ended", pid=51)
    said = [event(36.0, "target", "output", text=text, stream="stderr") for text in words]
    assert judge(scenario("frozen"), reaped(36.0, left, *said), TERMS).word == word


def test_a_freeze_at_the_very_end_of_a_session_could_not_show() -> None:
    stopped = event(5, "fault", "stopped")
    assert freeze.signature(line(flowing(4, 5.2), stopped)).what == "the session ended before a freeze could show"
    assert "went on acknowledging" in freeze.signature(line(flowing(4, 9), progress(4, 9, True), stopped)).what


STREAMS = Profile(observed=120, messages=2000, rate=100_000, largest=5000, longest_pause=0.1)


def dropped(at: float, until: float = 80.0, outq: int = 0, *more: Part) -> Timeline:
    """Return the timeline of a live client to which nothing is sent from ``at`` on, though its socket stays."""
    silent = [
        event(t, "client", "progress", read=1, received=1, acknowledged=0, silent_for=t - at)
        for t in (at + 0.5 * n for n in range(1, round((until - at) * 2)))
    ]
    kept = [sample(t, bytes_acked=1 + int(at * RATE), outq=outq) for t in times(at, until)]
    return line(flowing(0, at), progress(0, at, False), silent, kept, event(until, "lab", "path", carries=True), *more)


def kept(timeline: Timeline, profile: Profile = STREAMS, name: str = "paused") -> Verdict:
    verdict = judge(scenario(name), timeline, TERMS)
    assert (verdict.klass, verdict.word) == ("true_keep", "passed"), verdict.why
    return unserved(verdict, timeline, profile)


def test_a_live_client_to_which_nothing_is_sent_any_more_is_not_kept() -> None:
    verdict = kept(dropped(30.0))
    assert (verdict.word, verdict.klass) == ("failed", "true_keep")
    assert "nothing was sent to it in the last 50s, though the server streams 100 kB/s undisturbed" in verdict.why


@pytest.mark.parametrize(
    ("timeline", "profile"),
    [
        pytest.param(line(flowing(0, 80), progress(0, 80, False)), STREAMS, id="served to the end"),
        pytest.param(dropped(70.0), STREAMS, id="silent for a moment"),
        pytest.param(dropped(30.0), msgspec.structs.replace(STREAMS, longest_pause=40.0), id="pauses undisturbed too"),
        pytest.param(dropped(30.0), msgspec.structs.replace(STREAMS, quiet_share=0.5), id="a quiet server"),
    ],
)
def test_a_pause_is_not_held_against_a_server(timeline: Timeline, profile: Profile) -> None:
    assert kept(timeline, profile).word == "passed"
