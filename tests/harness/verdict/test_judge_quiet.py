"""Verdicts on servers that send rarely or never: a life and a death show without a stream."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfopen.model.timeline import Event, Sample, Timeline
from halfopen.scenario import suites
from halfopen.scenario.spec import Scenario
from halfopen.verdict.judge import Timing, Verdict, judge
from tests.harness.lines import Part, event, flowing, held, held_between, line, progress, sample, status, times

TERMS = Timing(grace=30, poll=2)
HELD_UNTIL = 82.9


def scenario(name: str) -> Scenario:
    (found,) = suites.find([name])
    return found


def verdict(name: str, *parts: Part) -> Verdict:
    return judge(scenario(name), line(*parts), TERMS)


def quiet(start: float, end: float, **fields: object) -> list[Sample]:
    """Return samples of a session in which nothing is sent either way."""
    return [sample(t, **{"last_ack_recv": round(t * 1000), "bytes_received": 0} | fields) for t in times(start, end)]


def reports(start: float, end: float, received: int = 0, acknowledged: int = 0) -> list[Event]:
    return [
        event(t, "client", "progress", read=received, received=received, acknowledged=acknowledged)
        for t in (start + 0.5 * n for n in range(round((end - start) * 2)))
    ]


def alive(end: float, **fields: object) -> list[Part]:
    return [quiet(0, end, **fields), reports(0, end), event(end - 0.01, "lab", "path", carries=True)]


def begun(t: float, fault: str, *proofs: str, step: int = 0) -> list[Event]:
    return [
        event(t, "fault", "begun", step=step, fault=fault),
        *(event(t, "fault", name, tried_for=1.0) for name in proofs),
    ]


FROZEN: list[Part] = [*alive(5.0), begun(5.0, "freeze", "stopped"), quiet(5.0, HELD_UNTIL)]
VANISHED: list[Part] = [*alive(5.0), begun(5.0, "vanish", "cut_off"), reports(5, 113), quiet(5.0, 113)]
KILLED: list[Part] = [*alive(5.0), begun(5.0, "kill", "killed"), quiet(5.0, HELD_UNTIL, state="CLOSE_WAIT")]


@pytest.mark.parametrize(
    ("name", "parts"), [("dead/frozen", FROZEN), ("dead/vanished", VANISHED), ("dead/killed", KILLED)]
)
def test_a_quiet_server_that_holds_a_dead_client_has_missed_it(name: str, parts: list[Part]) -> None:
    seen = verdict(name, *parts)
    assert (seen.word, seen.klass) == ("failed", "missed")
    assert "still held" in seen.why
    assert "began" in seen.why


@pytest.mark.parametrize(
    ("name", "fault", "proof"), [("dead/frozen", "freeze", "stopped"), ("dead/killed", "kill", "killed")]
)
def test_a_quiet_server_that_reaps_a_dead_client_in_time_passes(name: str, fault: str, proof: str) -> None:
    state = "CLOSE_WAIT" if fault == "kill" else "ESTABLISHED"
    gone = event(25.0, "kernel", "destroyed")
    seen = verdict(name, *alive(5.0), begun(5.0, fault, proof), quiet(5.0, 25.0, state=state), gone)
    assert (seen.word, seen.klass) == ("passed", "true_reap")
    assert seen.why.startswith("reaped 20s after the fault at 5.0s")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("dead/frozen", [*alive(5.0), begun(5.0, "freeze"), quiet(5.0, HELD_UNTIL)]),
        ("dead/vanished", [*alive(5.0), begun(5.0, "vanish"), quiet(5.0, 113)]),
        ("dead/killed", [*alive(5.0), begun(5.0, "kill", "killed"), quiet(5.0, HELD_UNTIL)]),
    ],
)
def test_without_proof_of_the_death_nothing_is_said_of_the_server(name: str, parts: list[Part]) -> None:
    assert verdict(name, *parts).word == "inconclusive"


def test_a_live_client_of_a_quiet_server_shows_by_its_process_and_its_path() -> None:
    seen = verdict("alive/paused", *alive(78.1))
    assert (seen.word, seen.klass) == ("passed", "true_keep")
    assert "the server sent nothing, the client's process ran, its path carried packets both ways" in seen.why


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ([quiet(0, 78.1), reports(0, 78.1)], "the path was not tried"),
        ([quiet(0, 78.1), reports(0, 78.1), event(78, "lab", "path", carries=False)], "the path carried nothing"),
        ([quiet(0, 78.1), reports(0, 60), event(78, "lab", "path", carries=True)], "reported nothing for 18"),
    ],
)
def test_a_life_that_is_not_shown_proves_nothing(parts: list[Part], says: str) -> None:
    seen = verdict("alive/paused", *parts)
    assert seen.word == "inconclusive"
    assert says in seen.why


def test_bytes_that_were_received_are_never_called_nothing() -> None:
    told = reports(0, 78.1, received=90)
    seen = verdict("alive/paused", quiet(0, 78.1), told, event(78, "lab", "path", carries=True))
    assert "90 B received" in seen.why
    assert "nothing" not in seen.why


def test_a_server_that_lets_go_before_the_second_fault_has_reaped() -> None:
    gone = event(12.0, "kernel", "destroyed")
    seen = verdict("dead/frozen_then_gone", *alive(5.0), begun(5.0, "freeze", "stopped"), quiet(5.0, 12.0), gone)
    assert (seen.word, seen.klass) == ("passed", "true_reap")


def test_a_server_that_holds_on_must_see_the_second_fault() -> None:
    seen = verdict("dead/frozen_then_gone", *alive(5.0), begun(5.0, "freeze", "stopped"), quiet(5.0, 125.0))
    assert seen.word == "inconclusive"
    assert "before the fault 'vanish' was due" in seen.why


def test_a_worker_that_crashes_has_failed_whoever_restarts_it() -> None:
    seen = verdict(
        "dead/killed",
        *alive(5.0),
        begun(5.0, "kill", "killed"),
        quiet(5.0, 5.2, state="CLOSE_WAIT"),
        event(5.1, "target", "output", text="Error: write EPIPE"),
        event(5.2, "target", "serving_process_ended", pid=7),
        event(5.2, "kernel", "destroyed"),
    )
    assert (seen.word, seen.klass) == ("failed", "true_reap")
    assert seen.why == "the process that served the session (pid 7) ended at 5.2s; it said: Error: write EPIPE"


@pytest.mark.parametrize("code", [1000, 1008, 4401])
def test_a_close_before_any_message_is_not_blamed_on_the_server(code: int) -> None:
    closed = event(3.0, "client", "close_received", code=code, reason="send your token first")
    seen = verdict("alive/active", quiet(0, 3.0), reports(0, 3.0), closed)
    assert seen.word == "inconclusive"
    assert (
        f"closed by the server with {code} 'send your token first' at 3.0s; does it want a message (--send)" in seen.why
    )


def test_a_server_that_greets_and_then_denies_a_client_is_not_blamed_unless_it_does_so_late() -> None:
    def denied(t: float) -> Verdict:
        closed = event(t, "client", "close_received", code=4401, reason="no token")
        return verdict("alive/active", flowing(0, t), progress(0, t, acknowledging=False), closed)

    assert denied(3.0).word == "inconclusive"
    assert denied(3.0).why.startswith("the session was closed by the server with 4401 'no token' at 3.0s; does it want")
    assert denied(33.0).word == "failed"


def test_a_keepalives_close_is_a_false_reap_and_says_its_code() -> None:
    closed = event(40.0, "client", "close_received", code=1011, reason="keepalive ping timeout")
    seen = verdict("alive/paused", quiet(0, 40.0), reports(0, 40.0), closed)
    assert (seen.word, seen.klass) == ("failed", "false_reap")
    assert "closed by the server with 1011 'keepalive ping timeout'" in seen.why


def test_a_server_whose_client_should_have_spoken_is_not_blamed() -> None:
    opened = event(0.0, "client", "opened", acknowledging=True)
    gone = event(30.5, "kernel", "destroyed")
    told = reports(0.5, 30.5, received=16, acknowledged=16)
    seen = verdict("alive/active", opened, quiet(0, 30.5), told, gone)
    assert seen.word == "inconclusive"
    assert "the server may want a heartbeat" in seen.why
    silent = reports(0.5, 30.5, received=16)
    assert verdict("alive/paused", opened, quiet(0, 30.5), silent, gone).word == "failed"


def test_a_keepalive_that_closes_with_a_code_of_its_own_is_blamed() -> None:
    pinged = [event(t, "client", "ping_received") for t in (20.0, 40.0)]
    closed = event(60.0, "client", "close_received", code=4408, reason="ping timeout")
    seen = verdict("alive/active", quiet(0, 60.0), reports(0, 60.0), pinged, closed)
    assert (seen.word, seen.klass) == ("failed", "false_reap")


def test_a_client_that_was_alive_when_the_server_ended_it_is_no_true_reap() -> None:
    """The first fault does nothing; the one that kills was not due yet."""
    found = scenario("dead/frozen_then_gone")
    steps = (msgspec.structs.replace(found.steps[0], fault="noop", options=None), found.steps[1])
    gone = event(12.0, "kernel", "destroyed")
    timeline = line(*alive(5.0), begun(5.0, "noop"), quiet(5.0, 12.0), reports(5.0, 12.0), gone)
    seen = judge(msgspec.structs.replace(found, steps=steps), timeline, TERMS)
    assert seen.word == "inconclusive"


def test_a_worker_that_ends_long_after_the_session_has_not_crashed() -> None:
    gone, ended = event(6.0, "kernel", "destroyed"), event(9.0, "target", "serving_process_ended", pid=7)
    parts = [*alive(5.0), begun(5.0, "kill", "killed"), quiet(5.0, 6.0, state="CLOSE_WAIT"), gone, ended]
    assert verdict("dead/killed", *parts).word == "passed"


def test_workers_that_disagree_are_judged_by_all_answers() -> None:
    gone = event(6.0, "kernel", "destroyed")
    parts = [*alive(5.0), begun(5.0, "kill", "killed"), quiet(5.0, 6.0, state="CLOSE_WAIT"), gone]
    some = status(8, listed=True, lock_held=False, answers=32, listing=9, workers=4)
    seen = verdict("dead/killed", *parts, status(1, listed=True, lock_held=True), some)
    assert seen.word == "failed"
    assert "still listed in 9 of 32 answers of 4 processes" in seen.why


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"files": 75}, "65 more open files after the session"),
        ({"threads": 68}, "65 more threads"),
        ({"files": 75, "processes": 2}, None),
        ({}, None),
    ],
)
def test_what_a_server_keeps_of_a_session_that_is_over_is_a_leak(fields: dict[str, int], says: str | None) -> None:
    gone = event(6.0, "kernel", "destroyed")
    timeline = line(*alive(5.0), begun(5.0, "kill", "killed"), quiet(5.0, 6.0, state="CLOSE_WAIT"), gone)
    timeline = held_between(timeline, held(7.0, **fields))
    seen = judge(scenario("dead/killed"), timeline, TERMS)
    assert (seen.word == "failed") == (says is not None)
    assert says is None or says in seen.why


def test_memory_is_limited_only_if_the_scenario_says_so() -> None:
    gone = event(6.0, "kernel", "destroyed")
    timeline = line(*alive(5.0), begun(5.0, "kill", "killed"), quiet(5.0, 6.0, state="CLOSE_WAIT"), gone)
    timeline = held_between(timeline, held(3.0, rss=250_000_000), held(7.0))
    free = scenario("dead/killed")
    limited = msgspec.structs.replace(free, expect=msgspec.structs.replace(free.expect, memory_growth=100 << 20))
    assert judge(free, timeline, TERMS).word == "passed"
    assert "grew by 200.0 MB, expected at most 104.9 MB" in judge(limited, timeline, TERMS).why


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"rss": 246_000_000}, "; the server's memory grew by 196.0 MB, to 246.0 MB"),
        ({"files": 20, "threads": 20}, "; 10 more open files and 17 more threads at the end than before the session"),
        ({"rss": 80_000_000, "files": 12, "threads": 5}, None),
        ({"files": 20, "processes": 2}, None),
    ],
)
def test_a_passed_run_says_so_if_its_session_cost_the_server_much(fields: dict[str, int], says: str | None) -> None:
    gone = event(6.0, "kernel", "destroyed")
    timeline = line(*alive(5.0), begun(5.0, "kill", "killed"), quiet(5.0, 6.0, state="CLOSE_WAIT"), gone)
    seen = judge(scenario("dead/killed"), held_between(timeline, held(7.0, **fields)), TERMS)
    assert seen.word == "passed"
    assert says in seen.why if says else ";" not in seen.why


@pytest.mark.parametrize(
    ("name", "fault"),
    [("frozen", "freeze"), ("vanished", "vanish"), ("killed", "kill"), ("half_closed", "half-close")],
)
@given(reaped_at=st.one_of(st.none(), st.floats(6, 60)), heard=st.booleans())
def test_a_fault_that_does_nothing_never_passes(name: str, fault: str, reaped_at: float | None, heard: bool) -> None:
    end = reaped_at or HELD_UNTIL
    gone = [] if reaped_at is None else [event(reaped_at, "kernel", "destroyed")]
    steady = {"last_ack_recv": 100} if heard else {}
    seen = verdict(f"dead/{name}", *alive(5.0), begun(5.0, fault), quiet(5.0, end, **steady), reports(5.0, end), gone)
    assert seen.word != "passed"


@st.composite
def evidences(draw: st.DrawFn) -> tuple[list[Part], list[Event]]:
    """Return a run, and events of the lab that may be known in addition."""
    parts = draw(st.sampled_from([FROZEN, VANISHED, KILLED]))
    more: Iterable[Event] = draw(
        st.lists(
            st.sampled_from(
                [
                    event(5.0, "lab", "path", carries=True),
                    event(5.1, "fault", "stopped"),
                    event(5.1, "fault", "cut_off", tried_for=1.0),
                    event(5.1, "fault", "killed"),
                    event(60.0, "registry", "status", listed=True, sessions=[{}]),
                    event(70.0, "target", "output", text="a line"),
                ]
            ),
            unique_by=lambda each: (each.kind, each.name),
        )
    )
    return list(parts), list(more)


@pytest.mark.parametrize("name", ["dead/frozen", "dead/vanished", "dead/killed", "dead/half_closed"])
@given(evidences())
def test_more_evidence_never_turns_a_failure_into_a_pass(name: str, run: tuple[list[Part], list[Event]]) -> None:
    parts, more = run
    before = verdict(name, *parts)
    after = verdict(name, *parts, more)
    assert not (before.word == "failed" and after.word == "passed")


def test_an_empty_timeline_is_a_session_that_never_opened() -> None:
    refused = event(0.0, "client", "refused", why="HTTP 404", status=404)
    seen = judge(scenario("dead/frozen"), Timeline(events=(refused,)), TERMS)
    assert (seen.word, seen.klass) == ("failed", "not_opened")
    assert "another --path" in seen.why


def test_a_fault_is_shown_until_the_next_one_begins() -> None:
    """A ping that is sent after the host is gone does not disprove that its client was frozen before."""
    unanswered = {"outq": 2, "unacked": 1, "snd_wnd": 65536}
    pinged = [
        sample(t, last_ack_recv=round(t * 1000), total_retrans=round(t - 20), bytes_received=0, **unanswered)
        for t in times(20, 40)
    ]
    gone = event(40.0, "kernel", "destroyed")
    frozen, vanished = begun(5.0, "freeze", "stopped"), begun(15.0, "vanish", "cut_off", step=1)
    seen = verdict("dead/frozen_then_gone", *alive(5.0), frozen, quiet(5.0, 20.0), vanished, pinged, gone)
    assert (seen.word, seen.klass) == ("passed", "true_reap"), seen.why
    assert "client stopped" in seen.why
