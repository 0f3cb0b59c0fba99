from __future__ import annotations

import pytest

from halfopen.grace.confirmation import agree
from halfopen.grace.outcomes import DrawRun, outcomes
from halfopen.grace.replay import PHASES, Phases
from halfopen.grace.sweep import Batch, Candidate, Draw
from halfopen.model.timeline import Timeline, make
from halfopen.scenario import scenario_file
from halfopen.verdict.findings import find
from halfopen.verdict.judge import Timing, Verdict, judge
from tests.harness.grace import sweeps
from tests.harness.lines import event, flowing, stuck

CONTENDERS = (Candidate(5.0, 2.0, "bytes-acked"), Candidate(20.0, 2.0, "bytes-acked"), Candidate(5.0, 2.0, "ack-stall"))


def batch(acting: int | None = None) -> Batch:
    return Batch(0, 1, (), CONTENDERS, acting, (0, 1) if acting is None else ())


def run(draw: Draw, timeline: Timeline) -> DrawRun:
    """Return a proved run, with the evidence that hand-written samples lack."""
    found = find(timeline, scenario_file.parse(draw.scenario, name=draw.name, suite="", where=draw.name))
    return DrawRun(draw, Verdict("passed", "as expected", "true_keep", found), timeline)


def frozen(until: float = 50.0, *more: object) -> Timeline:
    """Return the timeline of a client that stops reading at 6 s; its process stops at 5 s."""
    events = [event(0.0, "target", "session_opened"), event(5.03, "fault", "begun", step=0, fault="freeze")]
    return make([*flowing(0.0, 6.0, outq=500), *stuck(6.0, until)], [*events, event(5.03, "fault", "stopped"), *more])  # type: ignore[list-item]


def test_one_recorded_session_serves_every_grace() -> None:
    tried = outcomes(batch(), run(sweeps.dead(0, "freeze"), frozen()))
    assert [(one.candidate, one.outcome, one.real) for one in tried] == [(0, "reaped", False), (1, "reaped", False)]
    # Polls at even seconds. The last progress was there at 6 s.
    assert [one.reaped_at for one in tried] == pytest.approx([11.0, 26.0], abs=0.1)
    assert [one.onset for one in tried] == pytest.approx([6.0, 6.0], abs=0.1)
    assert {one.fault_at for one in tried} == {5.03}


def test_a_stall_is_counted_from_when_the_client_was_last_heard_of_at_the_latest() -> None:
    for one in outcomes(batch(), run(sweeps.dead(0, "freeze"), frozen())):
        assert one.heard_at is not None
        assert one.onset is not None
        assert 5.9 <= one.heard_at <= one.onset


def test_an_end_that_the_clients_kernel_told_of_is_no_stalls() -> None:
    told = make(
        [*flowing(0.0, 6.0, outq=500), *stuck(6.0, 50.0, state="CLOSE_WAIT")],
        [event(0.0, "target", "session_opened"), event(5.03, "fault", "begun", step=0, fault="half-close")],
    )
    for one in outcomes(batch(), run(sweeps.dead(0, "freeze"), told)):
        assert (one.outcome, one.onset, one.heard_at) == ("reaped", None, None)
        assert one.reaped_at == pytest.approx(6.0, abs=0.1)
        assert one.why == "reaped at 6.0s, its client had ended the connection"


def test_what_proves_nothing_counts_for_no_grace() -> None:
    trouble = frozen(50.0, event(3.0, "lab", "trouble", what="the client failed"))
    assert {
        (one.outcome, one.reaped_at, one.why) for one in outcomes(batch(), run(sweeps.dead(0, "freeze"), trouble))
    } == {("unproved", None, "the client failed")}


def dark(until: float, *, healed: float | None = None, opened: float = 0.0) -> Timeline:
    """Return the timeline of a client that is silent from 6.0 s on, or until it heals."""
    after = [] if healed is None else flowing(healed, until, outq=500)
    samples = [*flowing(0.0, 6.0, outq=500), *stuck(6.0, until if healed is None else healed), *after]
    return make(samples, [event(opened, "target", "session_opened")])


@pytest.mark.parametrize("opened", [0.0, 0.3, 1.1, 1.9])
def test_whether_an_outage_is_survived_at_every_phase_does_not_hang_on_the_phase_there_was(opened: float) -> None:
    short, _ = outcomes(batch(), run(sweeps.outage(0, 5.2), dark(60.0, healed=11.2, opened=opened)))
    assert short.phases is not None
    # 5.2 s of stall: only polls within its first fifth of a second see five seconds of it pass.
    assert 0 < short.phases.reaped < short.phases.tried / 2
    assert short.phases.worst
    short, _ = outcomes(batch(), run(sweeps.outage(0, 4.8), dark(60.0, healed=10.8, opened=opened)))
    assert short.phases == Phases(0, PHASES, worst=False)


def test_only_the_staircase_is_asked_for_its_phases() -> None:
    assert {
        one.phases for one in outcomes(batch(), run(sweeps.outage(0, 3.0, part="mix"), dark(60.0, healed=9.0)))
    } == {None}


def test_a_live_client_that_stalls_to_the_very_end_is_not_known_to_be_kept() -> None:
    short, long = outcomes(batch(), run(sweeps.outage(0, 30.0), dark(18.0)))
    assert (short.outcome, long.outcome) == ("reaped", "unproved")
    assert long.why == "it was still stalled after 12s when observation ended; hold it for longer"
    # A dead client is not yet missed by that: its hold is long enough.
    assert outcomes(batch(), run(sweeps.dead(0, "freeze"), frozen(18.0)))[1].outcome == "kept"


def test_a_live_client_that_stalls_as_it_did_before_is_kept() -> None:
    samples = [*flowing(0.0, 6.0, outq=500), *stuck(6.0, 9.5), *flowing(9.5, 12.0, outq=500), *stuck(12.0, 15.0)]
    again = make(samples, [event(0.0, "target", "session_opened")])
    assert {one.outcome for one in outcomes(batch(), run(sweeps.outage(0, 3.0), again))} == {"kept"}


def test_a_live_client_that_a_grace_ends_is_reaped_whatever_it_was_to_show_later() -> None:
    """The same holds for an acting detector: evidence that the session was as intended would come after its end."""
    draw = sweeps.outage(0, 30.0, part="mix")
    played = scenario_file.parse(draw.scenario, name=draw.name, suite="", where=draw.name)
    seen = dark(60.0, healed=16.0)
    verdict = judge(played, seen, Timing(20.0, 2.0))
    assert verdict.word == "inconclusive"
    assert [one.outcome for one in outcomes(batch(), DrawRun(draw, verdict, seen))] == ["reaped", "unproved"]


def test_a_client_that_is_reaped_before_its_death_says_nothing_of_the_dead() -> None:
    samples = [*flowing(0.0, 1.0, outq=500), *stuck(1.0, 12.0), *flowing(12.0, 13.0, outq=500), *stuck(13.0, 60.0)]
    events = [event(0.0, "target", "session_opened"), event(12.5, "fault", "begun", step=0, fault="freeze")]
    early, late = outcomes(batch(), run(sweeps.dead(0, "freeze"), make(samples, events)))
    assert (early.outcome, early.reaped_at) == ("unproved", None)
    assert "before anything was done to its client" in early.why
    assert late.outcome == "reaped"


@pytest.mark.parametrize(("stalled_from", "has_onset"), [(6.0, True), (10.9, False)])
def test_an_end_without_a_reason_is_a_stalls_if_there_was_one(stalled_from: float, has_onset: bool) -> None:
    """Another server gives no reason. A reset comes at once, a timer's end after a stall."""
    samples = [*flowing(0.0, stalled_from, outq=500), *stuck(stalled_from, 11.0)]
    events = [event(0.0, "target", "session_opened"), event(5.03, "fault", "begun", step=0, fault="freeze")]
    ended = make(samples, [*events, event(11.0, "kernel", "destroyed")])
    (one,) = outcomes(batch(acting=2), run(sweeps.dead(0, "freeze"), ended))
    assert (one.outcome, one.onset is not None) == ("reaped", has_onset)


@pytest.mark.parametrize("reason", ["connection_lost", "socket_error", "peer_closed"])
def test_a_client_that_was_killed_is_nothing_to_foretell(reason: str) -> None:
    """Also for the pod's own detector, in any of the threads that meet the reset."""
    events = [event(0.0, "target", "session_opened"), event(5.03, "fault", "begun", step=0, fault="kill")]
    closed = [event(5.1, "target", "session_closed", reason=reason), event(5.1, "kernel", "destroyed")]
    (one,) = outcomes(
        batch(acting=0), run(sweeps.dead(0, "freeze"), make(flowing(0.0, 5.1, outq=500), [*events, *closed]))
    )
    assert (one.outcome, one.onset, one.predicted) == ("reaped", None, False)


def test_what_the_judge_finds_inconclusive_is_unproved() -> None:
    draw = sweeps.dead(0, "freeze")
    played = scenario_file.parse(draw.scenario, name=draw.name, suite="", where=draw.name)
    nothing_shown = DrawRun(draw, judge(played, frozen(), Timing(20.0, 2.0)), frozen())
    assert {(one.outcome, one.reaped_at) for one in outcomes(batch(), nothing_shown)} == {("unproved", None)}


def test_a_server_that_ends_by_itself_has_reaped_nobody() -> None:
    gone = frozen(50.0, event(50.0, "target", "exited", code=1, said=""))
    assert {one.outcome for one in outcomes(batch(), run(sweeps.dead(0, "freeze"), gone))} == {"unproved"}


def test_a_real_reap_is_compared_with_a_replay_of_the_same_session() -> None:
    reaped = frozen(11.0, event(11.004, "kernel", "destroyed"))
    (one,) = outcomes(batch(acting=0), run(sweeps.dead(0, "freeze"), reaped))
    assert (one.outcome, one.real, one.reaped_at, one.predicted) == ("reaped", True, 11.004, True)
    assert agree(one.predicted_at, one.reaped_at)
    late = frozen(14.0, event(14.004, "kernel", "destroyed"))
    (one,) = outcomes(batch(acting=0), run(sweeps.dead(0, "freeze"), late))
    assert one.predicted
    assert not agree(one.predicted_at, one.reaped_at)


def test_what_cannot_be_replayed_is_not_predicted() -> None:
    reaped = frozen(11.0, event(11.004, "kernel", "destroyed"))
    (one,) = outcomes(batch(acting=2), run(sweeps.dead(0, "freeze"), reaped))
    assert (one.outcome, one.predicted, one.predicted_at) == ("reaped", False, None)


def test_a_stall_lasts_until_the_acknowledgement_that_ends_it() -> None:
    healed = make(
        [*flowing(0.0, 6.0, outq=500), *stuck(6.0, 9.0), *flowing(9.07, 60.0, outq=500)],
        [event(0.0, "target", "session_opened")],
    )
    (one, _) = outcomes(batch(), run(sweeps.outage(0, 3.0), healed))
    assert one.longest_stall == pytest.approx(3.1, abs=0.04)
