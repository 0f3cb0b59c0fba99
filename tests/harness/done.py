"""Runs that are over, made up for tests of what is told of them."""

from __future__ import annotations

import dataclasses

from harness import suites
from harness.findings import find
from harness.judge import Class, Terms, Verdict, Word
from harness.runner import Done, Job
from harness.target_spec import TargetSpec
from harness.targets.command import CommandTarget
from harness.timeline import Timeline
from tests.harness.lines import flowing, line

SERVER = CommandTarget(TargetSpec(server="serve {host} {port}"))


def done(
    word: Word, name: str = "dead/frozen", klass: Class = "missed", *, repeat: int = 1, was: bool = True, why: str = ""
) -> Done:
    """One run of this verdict and class; ``was``: whether there ever was a session."""
    (scenario,) = suites.find([name])
    job = Job(scenario, SERVER, Terms(30, 2), seed=7, repeat=repeat, ready_within=30)
    timeline = line(flowing(0, 1)) if was else Timeline()
    found = dataclasses.replace(find(timeline, scenario))
    return Done(job, Verdict(word, why or f"because it {word}", klass, found), timeline, 1.5)
