"""Invariants of every verdict, for any timeline.

One invariant does not hold: that leaving out anything at all never turns failed into passed. Evidence against a server
(a crash, lingering list entries) is evidence too, and without it nothing speaks against the server. So the tests
distinguish three kinds of evidence: proof of a fault or a client, evidence against a server, and anything after the
end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfopen.model.expressions import Expression
from halfopen.model.timeline import Event, Sample, Timeline, make
from halfopen.scenario import suites
from halfopen.scenario.spec import Scenario
from halfopen.verdict.judge import Timing, Verdict, judge
from tests.harness.lines import event, flowing, orphaned, progress, sample, status, stuck, times

TERMS = Timing(grace=6, poll=1)
_SHIPPED = {scenario.name: scenario for scenario in suites.find(["pod_5090", "wedge"])}


def _expecting(name: str, **changes: Any) -> Scenario:
    scenario = _SHIPPED[name]
    return msgspec.structs.replace(scenario, expect=msgspec.structs.replace(scenario.expect, **changes))


SCENARIOS = st.sampled_from(
    [
        *_SHIPPED.values(),
        _expecting("frozen", since="fault", within=Expression("2 * grace")),
        msgspec.structs.replace(_SHIPPED["clean_close"], steps=()),
    ]
)


def _quiet(start: float, end: float) -> list[Sample]:
    return [sample(t, bytes_acked=700_001) for t in times(start, end)]


def _half_closed(start: float, end: float) -> list[Sample]:
    return flowing_in("CLOSE_WAIT", start, end)


def flowing_in(state: str, start: float, end: float) -> list[Sample]:
    return [msgspec.structs.replace(one, state=state) for one in flowing(start, end)]


_MAKERS: dict[str, Callable[[float, float], list[Sample]]] = {
    "flow": flowing,
    "stuck": stuck,
    "quiet": _quiet,
    "half closed": _half_closed,
    "dark": lambda start, end: stuck(start, end, unacked=6, snd_wnd=65536),
    "orphan": orphaned,
    "gap": lambda _start, _end: [],
}

_STRETCHES = st.lists(st.tuples(st.sampled_from(sorted(_MAKERS)), st.floats(0.05, 15)), max_size=5)

_TOLD: st.SearchStrategy[tuple[str, str, dict[str, Any]]] = st.one_of(
    st.builds(lambda code: ("client", "close_received", {"code": code}), st.sampled_from([1000, 1001, 1011, None])),
    st.sampled_from(
        [
            ("client", "closing", {"code": 1000}),
            ("client", "ended", {"how": "closed", "code": 1000}),
            ("client", "protocol_error", {"why": "reserved bits"}),
            ("kernel", "destroyed", {"state": "CLOSE", "outq": 0}),
            ("kernel", "gone", {}),
            ("fault", "begun", {"step": 0, "fault": "freeze"}),
            ("fault", "undone", {"step": 0, "fault": "freeze"}),
            ("target", "dead_client_reaped", {"reason": "send_stall"}),
            ("target", "session_closed", {"reason": "client_closed", "drops": {"window": 2}}),
            ("target", "exited", {"code": 3}),
            ("lab", "trouble", {"what": "the client was refused"}),
            ("registry", "status", {"listed": True, "sessions": [{}], "lock_held": True}),
            ("registry", "status", {"listed": False, "sessions": [], "lock_held": False}),
            ("registry", "status", {"problem": "the pod could not be asked"}),
        ]
    ),
)


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    """Draw any stretches in any order, and any events at any time. Half of them have a live client's messages."""
    samples: list[Sample] = []
    t = 0.0
    for kind, length in draw(_STRETCHES):
        samples += _MAKERS[kind](t, t + length)
        t += length
    events = [
        Event(t=at, kind=kind, name=name, data=data)
        for at, (kind, name, data) in draw(st.lists(st.tuples(st.floats(0, 40), _TOLD), max_size=6))
    ]
    if draw(st.booleans()):
        events += progress(0, t, draw(st.booleans()))
    return make(samples, events)


def right(name: str) -> Timeline:
    """Return the timeline of a server that behaves correctly in this scenario."""
    listed = status(1, listed=True)
    if name == "frozen":
        told = event(12, "target", "dead_client_reaped", reason="send_stall")
        fault = event(5, "fault", "begun", step=0, fault="freeze")
        samples = [*flowing(0, 5), *stuck(5, 12), *orphaned(12, 13)]
        return make(samples, [*progress(0, 5, False), fault, told, listed, status(13, listed=False)])
    if name == "clean_close":
        ends = [event(5, "fault", "begun", step=0, fault="close"), event(5.01, "client", "closing", code=1000)]
        samples = [*flowing(0, 5.1), *orphaned(5.1, 6, outq=0)]
        return make(samples, [*progress(0, 5, True), *ends, listed, status(6, listed=False)])
    acknowledging = name != "paused"
    drops = event(15, "target", "slices_dropped", drops={"window": 3})
    samples = flowing(0, 16, outq=1000 if name == "backpressured" else 0)
    return make(samples, [*progress(0, 16, acknowledging), drops, listed, status(16, listed=True)])


RIGHT = ["frozen", "clean_close", "active", "paused", "backpressured"]


def verdict(scenario: Scenario, timeline: Timeline) -> Verdict:
    return judge(scenario, timeline, TERMS)


@pytest.mark.parametrize("name", RIGHT)
def test_the_examples_below_begin_with_a_pass(name: str) -> None:
    assert verdict(_SHIPPED[name], right(name)).word == "passed"


@given(SCENARIOS, timelines())
def test_any_timeline_has_one_verdict_with_a_reason(scenario: Scenario, timeline: Timeline) -> None:
    seen = verdict(scenario, timeline)
    assert seen.why
    assert seen == verdict(scenario, make(reversed(timeline.samples), timeline.events))


@given(SCENARIOS, timelines())
def test_no_latency_is_negative(scenario: Scenario, timeline: Timeline) -> None:
    seen = verdict(scenario, timeline)
    found = seen.found
    for seconds in (seen.detection, seen.after_fault, found.orphan.seconds):
        assert seconds is None or seconds >= 0
    assert found.stall is None or found.stall.seconds >= 0
    assert seen.detection is None or scenario.truth == "dead"


@given(SCENARIOS, timelines())
def test_passed_means_that_every_fault_began_and_showed_and_the_class_is_right(
    scenario: Scenario, timeline: Timeline
) -> None:
    seen = verdict(scenario, timeline)
    if seen.word != "passed":
        return
    assert seen.found.outcome == scenario.expect.session
    assert seen.klass != "false_reap"
    assert {event.data["step"] for event in timeline.of("fault", "begun")} >= set(range(len(scenario.steps)))
    if any(step.fault == "freeze" for step in scenario.steps):
        assert any(s.outq and not s.snd_wnd and not s.unacked for s in timeline.samples)
    assert not list(timeline.of("target", "exited"))


def _without(timeline: Timeline, told: Callable[[Event], bool]) -> Timeline:
    return Timeline(timeline.samples, tuple(one for one in timeline.events if not told(one)))


@pytest.mark.parametrize("name", RIGHT)
def test_without_what_proves_it_nothing_passes(name: str) -> None:
    whole, scenario = right(name), _SHIPPED[name]
    proofs: Sequence[Callable[[Event], bool]] = [
        lambda one: one.kind == "client",
        *([lambda one: one.kind == "fault"] if scenario.steps else []),
    ]
    for proof in proofs:
        assert verdict(scenario, _without(whole, proof)).word != "passed"


@given(SCENARIOS, timelines(), st.sampled_from(["begun", "progress"]))
def test_leaving_out_a_proof_never_makes_a_pass(scenario: Scenario, timeline: Timeline, name: str) -> None:
    if name == "begun" and not scenario.steps:
        return
    less = _without(timeline, lambda one: one.name == name)
    assert verdict(scenario, less).word != "passed" or verdict(scenario, timeline).word == "passed"


_AGAINST = [
    ("target", "exited", {"code": 3}),
    ("client", "protocol_error", {"why": "reserved bits"}),
    ("lab", "trouble", {"what": "the client was refused"}),
    ("client", "refused", {"why": "HTTP 404", "status": 404}),
]


@given(SCENARIOS, timelines(), st.sampled_from(_AGAINST), st.floats(0, 40))
def test_what_speaks_against_a_server_never_makes_a_pass(
    scenario: Scenario, timeline: Timeline, told: tuple[str, str, dict[str, Any]], t: float
) -> None:
    kind, name, data = told
    more = make(timeline.samples, [*timeline.events, Event(t=t, kind=kind, name=name, data=data)])
    assert verdict(scenario, more).word != "passed"


def _followed_by(first: Timeline, later: Timeline, after: float) -> Timeline:
    return make(
        [*first.samples, *(msgspec.structs.replace(one, t=one.t + after) for one in later.samples)],
        [*first.events, *(msgspec.structs.replace(one, t=one.t + after) for one in later.events)],
    )


@given(st.sampled_from(RIGHT), timelines(), st.floats(0, 30))
def test_a_false_reap_stays_one_whatever_is_seen_later(name: str, later: Timeline, after: float) -> None:
    scenario = _SHIPPED[name]
    thrown_out = make([*flowing(0, 3), *orphaned(3, 4)], [*progress(0, 3, name != "paused")])
    assert verdict(scenario, thrown_out).klass == "false_reap"
    seen = verdict(scenario, _followed_by(thrown_out, later, 4 + after))
    assert (seen.klass, seen.word == "passed") == ("false_reap", False)


@given(timelines())
def test_a_dead_client_kept_past_its_deadline_is_not_made_good_by_what_is_seen_later(later: Timeline) -> None:
    fault = event(5, "fault", "begun", step=0, fault="freeze")
    kept = make([*flowing(0, 5), *stuck(5, 21)], [*progress(0, 5, False), fault, status(1, listed=True)])
    assert verdict(_SHIPPED["frozen"], kept).word == "failed"
    assert verdict(_SHIPPED["frozen"], _followed_by(kept, later, 21)).word != "passed"


@given(SCENARIOS, timelines())
def test_what_is_sampled_after_the_end_changes_neither_the_end_nor_its_class(
    scenario: Scenario, timeline: Timeline
) -> None:
    seen = verdict(scenario, timeline)
    end = seen.found.ended_at
    if end is None:
        return
    cut = verdict(scenario, Timeline(tuple(s for s in timeline.samples if s.t <= end), timeline.events))
    assert (cut.klass, cut.found.ended_at, cut.detection) == (seen.klass, end, seen.detection)
