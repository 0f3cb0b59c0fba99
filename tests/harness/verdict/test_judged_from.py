"""Verdicts on the last of several faults, as tests in pytest ask for them."""

from __future__ import annotations

from halfopen.model.expressions import Expression
from halfopen.model.timeline import Sample, make
from halfopen.scenario.spec import ClientSpec, Expect, Scenario, Step
from halfopen.verdict.judge import Timing, Verdict, judge
from tests.harness.lines import STEP, event, flowing, progress, sample, stuck

TERMS = Timing(grace=10.0, poll=1.0)
#: Frozen from 5 to 8 s, and again from 15 s on. The windows close half a second later.
FIRST, THAWED, SECOND, CLOSING = 5.0, 8.0, 15.0, 0.5

STEPS = tuple(Step(Expression(f"{t}s"), "freeze", None) for t in (FIRST, SECOND))
SCENARIO = Scenario(
    name="twice",
    suite="pytest",
    called="twice",
    title="",
    story="",
    truth="dead",
    client=ClientSpec("draining"),
    steps=STEPS,
    judged_from=1,
    expect=Expect(session="reaped", within=Expression("11s"), hold=Expression("11s")),
)


def judged(reaped_at: float, *, first_freeze: bool = True) -> Verdict:
    samples: list[Sample] = flowing(0, FIRST + CLOSING)
    samples += stuck(FIRST + CLOSING, THAWED) if first_freeze else flowing(FIRST + CLOSING, THAWED)
    samples += flowing(THAWED + STEP, SECOND + CLOSING)
    samples += stuck(SECOND + CLOSING, reaped_at)
    samples += [sample(reaped_at, state="FIN_WAIT1", outq=1000, orphan=True)]
    told = [
        event(FIRST, "fault", "begun", step=0, fault="freeze"),
        event(THAWED, "fault", "undone", step=0, fault="freeze"),
        event(SECOND, "fault", "begun", step=1, fault="freeze"),
    ]
    events = [*progress(0, FIRST, False), *progress(THAWED, SECOND, False), *told]
    return judge(SCENARIO, make(samples, events), TERMS)


def test_the_deadline_counts_from_the_last() -> None:
    verdict = judged(SECOND + CLOSING + 10)
    assert (verdict.word, verdict.klass) == ("passed", "true_reap"), verdict.why
    assert verdict.found.fault_at == SECOND


def test_past_it_the_verdict_is_failed() -> None:
    verdict = judged(SECOND + CLOSING + 12)
    assert verdict.word == "failed"
    assert "12.0s after the stall, expected within 11s" in verdict.why


def test_what_came_before_must_be_shown_too() -> None:
    verdict = judged(SECOND + CLOSING + 10, first_freeze=False)
    assert verdict.word == "inconclusive"
    assert "nothing is proved: the client was to freeze" in verdict.why


def test_an_end_before_the_last_is_no_reap_of_a_dead_client() -> None:
    samples = [*flowing(0, FIRST + CLOSING), *stuck(FIRST + CLOSING, THAWED), sample(THAWED, state="FIN_WAIT1")]
    told = [event(t, "fault", "begun", step=n, fault="freeze") for n, t in enumerate((FIRST, SECOND))]
    assert judge(SCENARIO, make(samples, [*progress(0, FIRST, False), *told]), TERMS).klass == "false_reap"
