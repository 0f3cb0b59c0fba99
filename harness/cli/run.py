"""``halfopen run``: put a server in front of its clients and report its verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
from rich.console import Console

from halfopen.cli import screen
from halfopen.cli.ci import CiOptions
from halfopen.cli.executor import Executor, Presenter
from halfopen.cli.options import (
    SCENARIOS,
    ClockOptions,
    Out,
    PodOptions,
    ScenarioOptions,
    ServerOptions,
    scenario_names,
)
from halfopen.cli.placement import place, profiled
from halfopen.cli.values import option
from halfopen.netns.guest import cache
from halfopen.netns.units import show_duration
from halfopen.report import folder
from halfopen.results import record
from halfopen.results.record import Conditions
from halfopen.run import hindrances
from halfopen.run.profiling import is_profile
from halfopen.run.runner import Job, RunResult
from halfopen.verdict.judge import hold

_BUILD = "halfopen kernel build, once"


def run(
    names: Annotated[list[str] | None, scenario_names("core, or pod_5090 for the built-in server")] = None,
    *,
    server: ServerOptions,
    pod: PodOptions,
    scenarios: ScenarioOptions,
    out: Out = Path("out"),
    repeat: Annotated[int, option(SCENARIOS, "N", "Run each scenario N times.", min=1)] = 1,
    clock: ClockOptions,
    ci: CiOptions,
) -> int:
    """Run scenarios against a server. Exits 0 if all passed, 1 if some failed, 3 if some are inconclusive."""
    request = scenarios.request(names or [], target=server.spec(), pod=pod)
    request = msgspec.structs.replace(request, repeat=repeat, shard=ci.shard)
    known = ci.known()
    request, jobs, placement = profiled(*place(request, clock.clock, clock.kernel))
    again = [*placement.options, *([] if clock.jobs is None else ["--jobs", str(clock.jobs)])]
    conditions = record.conditions(request, jobs, placement.clock, known, again)
    presenter = Presenter(
        partial(conclude, out=out, ci=ci, count=sum(not is_profile(job) for job in jobs)),
        partial(screen.progress, baseline=known),
        notes=[
            *patience(jobs, placement.clock, clock.jobs, has_guest=cache.newest() is not None),
            *hindrances.notes(conditions.left_out),
        ],
    )
    return Executor(request, jobs, placement, conditions, out, presenter).carry_out(clock, at_once=len(jobs))


def patience(jobs: Sequence[Job], clock: str, at_once: int | None, *, has_guest: bool) -> list[str]:
    """Return a note on the time that runs take on a real clock, which is what they wait; on a virtual one, none."""
    if clock == "virtual":
        return []
    lasting = [
        hold(job.scenario, job.terms) + sum(job.terms.seconds(step.at) for step in job.scenario.steps[:1])
        for job in jobs
        if not is_profile(job)
    ]
    longest = max(*lasting, sum(lasting) / (at_once or len(jobs)))
    text = f"on the real clock this takes {show_duration(round(longest))}"
    return [text] if has_guest else [text, f"to skip the waiting: {_BUILD}"]


def conclude(
    console: Console,
    conditions: Conditions,
    done: Sequence[RunResult],
    wall: float,
    *,
    out: Path,
    ci: CiOptions,
    count: int,
) -> int:
    """Write and print a table of runs, and a story for each that failed; returns the exit code.

    ``count`` is the number of runs requested. Without all of them no baseline is written.
    """
    table = record.write(out, conditions, done, wall)
    screen.show(console, conditions, done, out, wall)
    ci.report(console, conditions, done, wall, is_whole=len(done) == count)
    # Last, so that the results are kept and reported even if drawing fails.
    folder.write(out, table, done)
    return record.exit_code(done, conditions.baseline)
