"""Results come before anything that can hang or fail: the end of a run's processes."""

from __future__ import annotations

import os
import sys

import pytest

from halfopen.netns import processes
from halfopen.netns.lab_errors import TeardownError
from halfopen.run.observer import Stop
from halfopen.run.progress import RunView
from halfopen.run.runner import Job, RunResult, run_one
from halfopen.scenario import suites
from halfopen.scenario.target_spec import TargetSpec
from halfopen.targets.command import CommandTarget
from halfopen.verdict.judge import Timing
from tests.isolated import isolated

SERVER = f"sh -c 'setsid sleep 1000 & exec {sys.executable} -m halfopen.pod --host {{host}} --port {{port}}'"


@isolated
def test_a_process_that_does_not_end_costs_no_result_and_is_named_with_its_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (scenario,) = suites.find(["active"])
    job = Job(scenario, CommandTarget(TargetSpec(server=SERVER)), Timing(30, 2, 1), 1, 1, ready_within=60)
    done: list[RunResult] = []
    monkeypatch.setattr(processes, "_PATIENCE", 0.01)
    monkeypatch.setattr(os, "kill", lambda _pid, _signal: None)
    with pytest.raises(TeardownError, match=r"^active: host 'server': process \d+ \(sleep 1000, state S\) did not end"):
        run_one(job, RunView(job.label), Stop(), done.append)
    assert [result.verdict.word for result in done] == ["passed"]
