"""Made-up results of runs, for tests of output."""

from __future__ import annotations

import dataclasses

from halfopen.model.timeline import Timeline
from halfopen.run.runner import Job, RunResult
from halfopen.scenario import suites
from halfopen.scenario.target_spec import TargetSpec
from halfopen.targets.command import CommandTarget
from halfopen.targets.pod import PodTarget
from halfopen.verdict.findings import find
from halfopen.verdict.judge import Class, Timing, Verdict, Word, judge
from tests.harness.lines import event, flowing, line, progress, status, stuck

SERVER = CommandTarget(TargetSpec(server="serve {host} {port}"))
TERMS = Timing(30, 2)


def done(
    word: Word, name: str = "dead/frozen", klass: Class = "missed", *, repeat: int = 1, was: bool = True, why: str = ""
) -> RunResult:
    """Return a run with this verdict and class. ``was``: there was a session."""
    (scenario,) = suites.find([name])
    job = Job(scenario, SERVER, Timing(30, 2), seed=7, repeat=repeat, ready_within=30)
    timeline = line(flowing(0, 1)) if was else Timeline()
    found = dataclasses.replace(find(timeline, scenario))
    return RunResult(job, Verdict(word, why or f"because it {word}", klass, found), timeline, 1.5)


def pod_job(name: str = "frozen", **changes: object) -> Job:
    """Return a scenario to run against the pod without a watchdog."""
    (scenario,) = suites.find([name])
    made = Job(scenario, PodTarget("none", 30, 2), TERMS, seed=7, repeat=1, ready_within=30, detector="none")
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def missed() -> RunResult:
    """Return the incident: a client frozen at 5 s that is still held at 83 s."""
    timeline = line(
        flowing(0, 5),
        progress(0, 5, False),
        event(5, "fault", "begun", step=0, fault="freeze"),
        stuck(5, 83, outq=456_000),
        status(1, listed=True),
        status(83, listed=True),
    )
    job = pod_job()
    return RunResult(job, judge(job.scenario, timeline, TERMS), timeline, 84.0)
