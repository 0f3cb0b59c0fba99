"""The history of one client in readable lines. Pure: a timeline in, text out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from halfopen.model import evidence
from halfopen.model.timeline import Event, Timeline
from halfopen.netns.units import show_bytes, show_duration
from halfopen.scenario.spec import Scenario
from halfopen.verdict.judge import Timing, Verdict, deadline

#: Shorter stalls are left out, seconds.
_WORTH_TELLING = 1.0
#: Number of last lines shown of a server's output.
_LAST_LINES = 10

_MARKS = {"passed": "✓", "failed": "✗", "inconclusive": "?"}


def expectation(scenario: Scenario, terms: Timing) -> str:
    """Describe the expected outcome of the session."""
    expect = scenario.expect
    if expect.session == "kept":
        since = f"the {scenario.steps[scenario.judged_from].fault}" if scenario.steps else "the start"
        return f"kept for {show_duration(terms.seconds(expect.hold))} from {since} on"
    limit = deadline(scenario, terms)
    since = "stall" if scenario.truth == "dead" and expect.since == "onset" else "fault"
    return expect.session + (f" within {show_duration(limit)} of the {since}" if limit else "")


def lines(timeline: Timeline, verdicts: Sequence[tuple[float, Verdict, str]]) -> list[str]:
    """Return actions, the kernel's observations, questions and answers, in the order of time."""
    moments = [*_actions(timeline), *_stalls(timeline), *_ends(timeline), *_now(timeline)]
    moments += [(t, text) for t, verdict, expected in verdicts for text in _answer(verdict, expected)]
    return [f"{t:7.1f}s  {text}" for t, text in sorted(moments, key=lambda moment: moment[0])]


def _actions(timeline: Timeline) -> Iterator[tuple[float, str]]:
    connected = timeline.first("client", "connected")
    if connected is not None:
        yield 0.0, f"session open, from {':'.join(map(str, connected.data['local']))}"
    for event in timeline.of("fault", "begun", "undone"):
        yield event.t, event.data["fault"] + (" undone" if event.name == "undone" else "")
    for event in timeline.of("lab", "trouble"):
        yield event.t, str(event.data["what"])


def _stalls(timeline: Timeline) -> Iterator[tuple[float, str]]:
    for stall in evidence.stalls(evidence.established(timeline)):
        if stall.seconds < _WORTH_TELLING:
            continue
        yield stall.onset, "last byte acknowledged: a stall begins"
        if not stall.goes_on:
            yield stall.until, f"bytes are acknowledged again, after {show_duration(stall.seconds)}"


def _ends(timeline: Timeline) -> Iterator[tuple[float, str]]:
    left = next((sample for sample in timeline.samples if sample.state in evidence.ENDED_STATES), None)
    if left is not None:
        yield left.t, f"the server ended its side: {left.state}, {show_bytes(left.outq)} queued"
    gone = timeline.first("kernel", "destroyed", "gone")
    if gone is not None:
        yield gone.t, "the server's socket is gone"
    for event in timeline.of("client", "closing", "close_received", "half_closed", "ended", "protocol_error"):
        yield event.t, f"client: {_said(event)}"
    exited = timeline.first("target", "exited")
    if exited is not None:
        yield exited.t, f"the server ended by itself with exit code {exited.data['code']}"


def _said(event: Event) -> str:
    words = " ".join(f"{key}={value}" for key, value in event.data.items() if value is not None)
    return f"{event.name.replace('_', ' ')} {words}".strip()


def _now(timeline: Timeline) -> Iterator[tuple[float, str]]:
    last = timeline.samples[-1] if timeline.samples else None
    if last is None:
        yield 0.0, "the server's socket was never seen"
        return
    window = "" if last.snd_wnd is None else f", peer's window {show_bytes(last.snd_wnd)}"
    heard = f", last heard of {show_duration(last.last_ack_recv / 1000)} before"
    acked = f"{show_bytes(last.bytes_acked or 0)} acknowledged"
    yield last.t, f"{last.state}, {show_bytes(last.outq)} queued, {acked}{window}{heard}"


def _answer(verdict: Verdict, expected: str) -> list[str]:
    return [f"{_MARKS[verdict.word]} {verdict.why}", f"  expected: {expected}"]


def said(timeline: Timeline) -> list[str]:
    """Return the last lines that a server printed, if any."""
    printed = [str(event.data["text"]) for event in timeline.of("target", "output")]
    return ["server said:", *(f"  {text}" for text in printed[-_LAST_LINES:])] if printed else []
