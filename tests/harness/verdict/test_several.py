"""Verdicts on runs with several clients."""

from __future__ import annotations

import msgspec
import pytest

from halfopen.model.evidence import Gap, longest_gap
from halfopen.model.timeline import Event, Timeline
from halfopen.scenario.scenario_file import parse
from halfopen.scenario.spec import Scenario
from halfopen.verdict.judge import Timing, Verdict
from halfopen.verdict.several import judge_each, worst
from tests.harness.lines import event, flowing, line, progress, status, stuck

TERMS = Timing(grace=10, poll=2)
TEXT = """
title = "A title"
story = "A story."
truth = "alive"
[[client]]
behaviour = "draining"
[[client]]
name = "other"
behaviour = "draining"
[client.expect]
{expect}
[expect]
session = "kept"
hold = "20s"
"""
END = 20.5


def scenario(expect: str) -> Scenario:
    return parse(TEXT.format(expect=expect), name="x", suite="y", where="x.toml")


def kept(*events: Event, silent_for: float = 0.01) -> Timeline:
    reports = progress(0.0, END, acknowledging=False)
    reports = [msgspec.structs.replace(report, data={**report.data, "silent_for": silent_for}) for report in reports]
    opening = [
        event(-0.02, "client", "connecting"),
        event(0.0, "client", "opened", acknowledging=False),
        event(0.1, "client", "first_data"),
    ]
    return line(flowing(0.0, END), reports, opening, list(events))


def judge_all(several: Scenario, timeline: Timeline, terms: Timing) -> tuple[Verdict, dict[str, Verdict]]:
    """Return the verdict on the run, and those on its other clients by name."""
    subject, others = judge_each(several, timeline, terms)
    return worst(subject, others, None), others


def verdicts(expect: str, other: Timeline) -> tuple[Verdict, Verdict]:
    run, others = judge_all(scenario(expect), msgspec.structs.replace(kept(), others={"other": other}), TERMS)
    return run, others["other"]


def test_a_run_passes_if_every_client_is_as_expected() -> None:
    run, other = verdicts('longest_gap = "2s"\nserved_within = "1s"\nreceived_at_least = "1MB"', kept())
    assert (run.word, other.word) == ("passed", "passed")
    assert run.why.endswith("; the other client as expected")


@pytest.mark.parametrize(
    ("expect", "other", "complaint"),
    [
        ('longest_gap = "2s"', kept(event(9.0, "client", "gap", seconds=2.5)), "served nothing for 2.5s from 6.5s on"),
        ('longest_gap = "2s"', kept(silent_for=2.5), "served nothing for 2.5s from"),
        ('received_at_least = "3MB"', kept(), "received 2.0 MB, expected at least 3.0 MB"),
        ('served_within = "100ms"', kept(), "served 120ms after it connected"),
        ('session = "refused"', kept(), "admitted at 0.0s and kept, expected it refused"),
        ('session = "reaped"', kept(), "session still held"),
        ("sessions = 2", kept(status(20.0, listed=True)), "the server lists 1 session at the end, expected 2"),
    ],
)
def test_a_run_fails_with_the_client_that_was_not_served(expect: str, other: Timeline, complaint: str) -> None:
    run, own = verdicts(expect, other)
    assert (run.word, own.word) == ("failed", "failed")
    assert complaint in own.why
    assert run.why == f"other: {own.why}"
    assert run.klass == "true_keep"


REFUSED = line([], [event(3.0, "client", "connecting"), event(3.1, "client", "refused", why="HTTP 503", status=503)])
CLOSED = line(
    flowing(3.1, 3.3),
    [
        event(3.0, "client", "connecting"),
        event(3.1, "client", "opened", acknowledging=False),
        event(3.2, "client", "close_received", code=1013, reason="full"),
    ],
)


@pytest.mark.parametrize(
    ("expect", "other", "word"),
    [
        ('session = "refused"', REFUSED, "passed"),
        ('session = "refused"\nstatus = 503', REFUSED, "passed"),
        ('session = "refused"\nstatus = 401', REFUSED, "failed"),
        ('session = "refused"\nclose_code = 1013', REFUSED, "failed"),
        ('session = "refused"\nclose_code = 1013', CLOSED, "passed"),
        ('session = "refused"\nclose_code = 4001', CLOSED, "failed"),
        ('session = "kept"', REFUSED, "failed"),
        ('session = "kept"', CLOSED, "failed"),
    ],
)
def test_a_refusal_is_a_close_frame_before_any_data_or_an_answer_to_the_handshake(
    expect: str, other: Timeline, word: str
) -> None:
    run, own = verdicts(expect, other)
    assert (run.word, own.word, own.klass) == (word, word, "refused")


def test_a_client_that_was_never_tried_proves_nothing() -> None:
    run, others = judge_all(scenario('session = "kept"'), kept(), TERMS)
    assert (run.word, others["other"].word) == ("inconclusive", "inconclusive")


def test_a_client_that_waited_for_an_end_that_no_fault_brought_about_proves_nothing() -> None:
    text = TEXT.replace('name = "other"', 'name = "other"\nat = "end"').replace('truth = "alive"', 'truth = "dead"')
    step = '[[step]]\nat = "5s"\nfault = "freeze"\n'
    waiting = parse(
        text.format(expect="").replace('session = "kept"', 'session = "reaped"') + step, name="x", suite="y", where="x"
    )
    unmeant = kept(event(5.0, "fault", "begun", step=0, fault="freeze"))
    run, others = judge_all(waiting, msgspec.structs.replace(unmeant, others={"other": CLOSED}), TERMS)
    assert (run.word, others["other"].word) == ("inconclusive", "inconclusive")
    assert others["other"].why.startswith("the subject's session, whose end it waited for, never ended; refused at ")


@pytest.mark.parametrize(("user", "word"), [("subject", "passed"), ("somebody", "inconclusive")])
def test_a_code_that_denies_a_session_may_also_end_it_for_its_own_user_who_came_back(user: str, word: str) -> None:
    text = TEXT.replace('name = "other"', f'name = "other"\nuser = "{user}"').replace(
        'truth = "alive"', 'truth = "dead"'
    )
    step = '[[step]]\nat = "5s"\nfault = "freeze"\n'
    returned = parse(
        text.format(expect="").replace('session = "kept"', 'session = "reaped"') + step, name="x", suite="y", where="x"
    )
    ousted = line(
        flowing(0.0, 5.0),
        progress(0.0, 5.0, acknowledging=False),
        event(5.0, "fault", "begun", step=0, fault="freeze"),
        event(5.1, "fault", "stopped"),
        stuck(5.0, 9.0, last_ack_recv=0),
        event(9.0, "client", "close_received", code=4001, reason="preempted"),
    )
    run, _ = judge_all(returned, msgspec.structs.replace(ousted, others={"other": kept()}), TERMS)
    assert run.word == word, run.why


@pytest.mark.parametrize(("since", "seconds"), [(0.0, 2.5), (8.0, 1.0)])
def test_a_gap_counts_from_the_moment_that_is_asked_about(since: float, seconds: float) -> None:
    gap = longest_gap(kept(event(9.0, "client", "gap", seconds=2.5)), until=20.0, since=since)
    assert gap == Gap(9.0 - seconds, seconds)
