"""Stories, files and tables of runs with several clients."""

from __future__ import annotations

import dataclasses
import json

import msgspec
import pytest

from halfopen.model.timeline import Event, Timeline
from halfopen.results import comparison, record, story
from halfopen.run.runner import RunResult
from halfopen.scenario.scenario_file import parse
from halfopen.verdict.several import judge_each
from tests.harness.done import TERMS, pod_job
from tests.harness.lines import event, flowing, line, orphaned, progress, stuck
from tests.harness.report.made import HOW

TEXT = """
title = "One of three is frozen"
story = "A story."
truth = "dead"
client = "draining"
[bystanders]
count = 2
behaviour = "draining"
[bystanders.expect]
longest_gap = "2s"
[[step]]
at = "5s"
fault = "freeze"
[expect]
session = "reaped"
"""
END = 90.0


def bystander(gap: float = 0.0, until: float = END, *more: Event) -> Timeline:
    reports = [
        msgspec.structs.replace(report, data={**report.data, "silent_for": 0.01})
        for report in progress(0.0, until, acknowledging=False)
    ]
    silent = [event(10.0 + gap, "client", "gap", seconds=gap)] if gap else []
    opening = [event(-0.5, "client", "connecting"), event(-0.4, "client", "opened", acknowledging=False)]
    return line(flowing(0.0, until), reports, opening, silent, list(more))


def run(*others: Timeline, is_reaped: bool = True) -> RunResult:
    """Return a run whose subject is frozen at 5 s, and reaped at 36 s unless the server misses it."""
    scenario = parse(TEXT, name="frozen_neighbour", suite="mine", where="x.toml")
    end = stuck(5, 36) if is_reaped else stuck(5, END)
    after = orphaned(36, 37) if is_reaped else []
    timeline = line(
        flowing(0, 5), progress(0, 5, False), event(5, "fault", "begun", step=0, fault="freeze"), end, after
    )
    names = [other.name for other in scenario.others]
    timeline = msgspec.structs.replace(timeline, others=dict(zip(names, others, strict=True)))
    subject, judged = judge_each(scenario, timeline, TERMS)
    return RunResult(pod_job(scenario=scenario), subject, timeline, 1.0, others=judged)


CLOSED = event(20.0, "client", "close_received", code=1011, reason="keepalive ping timeout")


def test_a_failure_of_a_bystander_is_told_of_the_bystander() -> None:
    served = bystander(0.0, 20.0, CLOSED)
    lost = line(served.samples, served.events, orphaned(20, 21))
    failed = run(bystander(), lost)
    assert (failed.verdict.word, failed.subject.word) == ("failed", "passed")
    assert failed.blamed == "bystander-2"
    told = story.story(failed)
    assert told[1].startswith("  ✗ bystander-2: ")
    assert story.whose(failed) == "bystander-2"
    explained = story.explained(failed)
    assert explained.ended is not None
    assert "1011" in explained.ended
    table = record.run_as_table(failed)
    assert (table["about"], table["ended"]) == ("bystander-2", explained.ended)


def test_a_failure_of_the_subject_is_told_of_the_subject() -> None:
    failed = run(bystander(8.0), bystander(), is_reaped=False)
    assert failed.blamed == "subject"
    assert story.whose(failed) == ""
    assert story.others(failed)[0].startswith("✗ bystander-1: served nothing for 8s from 10.0s on")
    assert story.others(failed)[1] == "✓ bystander-2: as expected"


def test_junit_has_the_class_of_the_client_that_failed() -> None:
    xml = record.junit(HOW, [run(bystander(8.0), bystander())], 1.0).tostring().decode()  # type: ignore[no-untyped-call]
    assert 'type="true_keep"' in xml
    assert "bystander-1: served nothing for 8s" in xml


@pytest.mark.parametrize(("gap", "seconds"), [(0.0, 0.01), (8.0, 8.0)])
def test_a_comparison_has_the_longest_silence_of_any_bystander(gap: float, seconds: float) -> None:
    table = json.loads(json.dumps(comparison.as_table(HOW, [run(bystander(), bystander(gap))], 1.0)))
    assert table["runs"][0]["silence_s"] == seconds


def test_the_silence_of_a_client_that_was_struck_is_none_of_a_bystander() -> None:
    struck = run(bystander(), bystander(8.0))
    (step,) = struck.job.scenario.steps
    scenario = msgspec.structs.replace(
        struck.job.scenario, steps=(step, msgspec.structs.replace(step, on="bystander-2"))
    )
    silence = comparison.silence(
        RunResult(pod_job(scenario=scenario), struck.subject, struck.timeline, 1.0, None, struck.others)
    )
    assert silence == pytest.approx(0.01)


def test_a_scenario_that_does_not_apply_blames_nobody_and_has_no_fix() -> None:
    starved = run(bystander(8.0), bystander())
    subject = dataclasses.replace(starved.subject, word="not_applicable", klass=None)
    silent = dataclasses.replace(starved, subject=subject)
    table = record.run_as_table(silent)
    assert (silent.verdict.word, silent.blamed) == ("not_applicable", "subject")
    assert (table["fix"], table["about"], table["ended"]) == (None, None, None)
    assert record.run_as_table(starved)["fix"] is not None
