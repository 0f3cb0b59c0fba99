"""A failed run is explained: its end, its holder, the last words of the server and of proxies; any other is not."""

from __future__ import annotations

import dataclasses
import xml.etree.ElementTree as ET

import msgspec

from halfopen.model.profile import Profile
from halfopen.model.timeline import Event, Timeline
from halfopen.results import explanation, record, story
from halfopen.results.explanation import Explanation, explain
from halfopen.run.request import RunRequest
from halfopen.run.runner import RunResult
from halfopen.verdict.judge import judge
from tests.harness.done import TERMS, done, pod_job
from tests.harness.lines import event, flowing, line, progress, sample, stuck, times

PINGING = Profile(observed=120, messages=9, rate=1e5, largest=9, longest_pause=1, pings=5, pings_every=20.0)
COMMAND = "python my_server.py --host 198.18.1.2 --port 26471"


def said(t: float, *texts: str) -> list[Event]:
    return [event(t + n / 1000, "target", "output", text=text) for n, text in enumerate(texts)]


def holder(t: float, *threads: str) -> Event:
    return event(t, "target", "holder", pid=50, process="python", command=COMMAND, threads=list(threads))


def run(name: str, timeline: Timeline, profile: Profile | None = None) -> RunResult:
    job = pod_job(name)
    return RunResult(job, judge(job.scenario, timeline, TERMS), timeline, 2.0, profile)


def held(*more: Event) -> Timeline:
    frozen = event(5, "fault", "begun", step=0, fault="freeze")
    return line(flowing(0, 5), progress(0, 5, False), frozen, stuck(5, 83, outq=193_000), more)


def reaped(*more: Event) -> Timeline:
    closed = event(20, "client", "close_received", code=1011, reason="bye")
    return line(flowing(0, 20), progress(0, 20, True), closed, [sample(20.1, state="FIN_WAIT1")], more)


def test_a_run_that_passed_is_not_explained() -> None:
    passed = done("passed", "alive/active", "true_keep")
    assert explain(passed.timeline, passed.verdict) == Explanation()


def test_a_held_session_has_its_holder_and_the_queue_in_front_of_its_pings() -> None:
    frozen = run("frozen", held(holder(83.1, "thread 62 (stream): in sendall")), PINGING)
    explained = story.explained(frozen)
    assert (explained.ended, explained.cause) == (None, None)
    assert explained.held_by == [
        f"python (pid 50): {COMMAND}",
        "193 kB wait in its socket; a ping waits behind them (it pings every 20s)",
    ]
    text = story.story(frozen)
    assert f"    held by:  python (pid 50): {COMMAND}" in text
    assert "              thread 62 (stream): in sendall" in text


def test_a_ping_waits_only_if_the_server_was_seen_to_send_any() -> None:
    def waiting(profile: Profile | None, *more: Event) -> str:
        return story.explained(run("frozen", held(holder(83.1), *more), profile)).held_by[1]

    mute = msgspec.structs.replace(PINGING, pings=0, pings_every=None)
    assert waiting(mute) == "193 kB wait in its socket, and it sends no pings"
    assert waiting(None) == "193 kB wait in its socket"
    assert waiting(None, event(3, "client", "ping_received")) == "193 kB wait in its socket; a ping waits behind them"
    assert waiting(msgspec.structs.replace(mute, ended_at=30.0)) == "193 kB wait in its socket", (
        "it was not watched long"
    )


def test_a_server_that_streamed_sent_something() -> None:
    def habit(sent_until: float) -> str:
        frozen = event(5, "fault", "begun", step=0, fault="freeze")
        sent = [msgspec.structs.replace(s, last_data_recv=round(s.t * 1000)) for s in flowing(0, sent_until)]
        rest = [
            sample(t, bytes_acked=sent[-1].bytes_acked, last_data_recv=round(t * 1000)) for t in times(sent_until, 95)
        ]
        return story.explained(run("frozen_silent", line(sent, rest, frozen, holder(95.1)))).held_by[1]

    assert habit(20) == "nothing is queued: the client's kernel took in all that it sent, the last at 20.0s"
    assert "it sent nothing since the client was last heard at 0.0s" in habit(0.2)


def test_input_that_the_server_leaves_unread_is_told() -> None:
    timeline = held(holder(83.1))
    samples = (*timeline.samples[:-1], msgspec.structs.replace(timeline.samples[-1], rqueue=1200))
    explained = story.explained(run("frozen", msgspec.structs.replace(timeline, samples=samples)))
    assert explained.held_by[-1] == "it leaves 1 kB of its input unread"


def test_without_a_holder_nothing_is_said_of_one() -> None:
    assert story.explained(run("frozen", held())).held_by == []


def test_stacks_that_the_server_prints_come_before_those_from_outside() -> None:
    stacks = [event(83.2, "target", "stacks_asked", pid=50), *said(83.3, "Thread 1:", "  File x, in sendall(data)")]
    explained = story.explained(run("frozen", held(holder(83.1, "from outside"), *stacks)))
    assert explained.threads == ["Thread 1:", "  File x, in sendall(data)"]


def test_output_is_that_of_the_end_or_of_the_fault_if_nothing_ended() -> None:
    ended = story.explained(run("alive/active", reaped(*said(5, "at the fault"), *said(20, "at the end"))))
    assert ended.server_said == ["at the end"]
    still_held = story.explained(run("frozen", held(*said(5, "at the fault"), *said(80, "later"))))
    assert still_held.server_said == ["at the fault", "(its last lines, from 80s on:)", "later"]
    silent_since = story.explained(run("frozen", held(*said(5, "at the fault"))))
    assert silent_since.server_said == ["at the fault"]


def test_the_output_of_a_server_that_lets_nobody_in_is_that_of_the_refusal() -> None:
    refused = event(0.5, "client", "refused", why="HTTP 500", status=500)
    explained = story.explained(run("alive/active", line(refused, said(0.5, "KeyError: 'SECRET'"))))
    assert explained.server_said == ["KeyError: 'SECRET'"]


def test_an_end_that_the_verdict_names_is_not_named_again() -> None:
    failed = run("alive/active", reaped())
    assert "closed by the server with 1011 'bye'" in failed.verdict.why
    assert not [text for text in story.story(failed) if "ended:" in text]
    assert explanation.lines(story.explained(failed), "another sentence")[0].startswith("ended:")


def test_a_close_frame_that_the_client_never_read_is_told_as_such() -> None:
    unread = event(41, "lab", "close_unread", code=1011, reason="keepalive ping timeout")
    frozen = event(5, "fault", "begun", step=0, fault="freeze")
    late = run("frozen", line(flowing(0, 5), frozen, stuck(5, 60), [sample(60, state="FIN_WAIT1")], unread))
    entry = record.run_as_table(late)
    assert (entry["close_code"], entry["close_reason"]) == (1011, "keepalive ping timeout")
    assert entry["ended"] == "closed by the server with 1011 'keepalive ping timeout' (unread in the client's kernel)"


def test_long_output_is_cut_in_the_story_but_a_traceback_is_whole() -> None:
    many = [f"line {n}" for n in range(40)]
    shown = explanation.lines(Explanation(server_said=many), "")
    assert shown[:2] == ["server said:", "    (25 more lines in results.json)"]
    assert shown[-1] == "    line 39"
    whole = ["Traceback (most recent call last):", *many, "KeyError"]
    assert len(explanation.lines(Explanation(server_said=whole), "")) == 1 + len(whole)


def test_junit_has_the_whole_story_even_of_a_server_that_prints_colours() -> None:
    failed = run("alive/active", reaped(*said(20, "room is full <&>")))
    how = record.conditions(RunRequest(seed=1, grace=30, poll=2), [failed.job], "real")
    text = record.junit(how, [failed], 9.0).tostring()  # type: ignore[no-untyped-call]
    (failure,) = ET.fromstring(text).iter("failure")
    assert failure.text is not None
    assert "server said:\n        room is full <&>" in failure.text
    assert "again:   halfopen run " in failure.text


def test_the_profile_serves_the_cause() -> None:
    quiet = [sample(n / 20, last_data_recv=n * 50) for n in range(1200)]
    closed = run("alive/active", line(quiet, [sample(60, state="FIN_WAIT1")]))
    assert "idle timeout of 60s" in str(story.explained(closed).cause)
    patient = Profile(observed=120, messages=0, rate=0, largest=0, longest_pause=120)
    assert story.explained(dataclasses.replace(closed, profile=patient)).cause is None
