"""``halfopen compare``: the verdict of each detector on each scenario."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
from rich.console import Console

from halfopen import plugins
from halfopen.cli import grid
from halfopen.cli.executor import Executor, Presenter
from halfopen.cli.groups import Without
from halfopen.cli.options import ClockOptions, Out, PodOptions, ScenarioOptions, scenario_names
from halfopen.cli.placement import place
from halfopen.cli.values import PodApiName, option
from halfopen.netns.units import show_duration
from halfopen.pod import detectors as catalogue
from halfopen.report import folder
from halfopen.results import comparison, record
from halfopen.results.record import Conditions
from halfopen.run import hindrances
from halfopen.run.runner import Job, RunResult
from halfopen.verdict.judge import hold

DEFAULT = ("dead", "alive", "ended")
#: Scenarios at once on a real clock. Each is a server, a client and a kernel's timers, and mostly waits.
_AT_ONCE = 16


def compare(
    names: Annotated[list[str] | None, scenario_names(" ".join(DEFAULT))] = None,
    *,
    detectors: Annotated[
        list[str] | None,
        option(None, "NAME[,NAME]...", "The pod's detectors to compare (default: all of them)."),
    ] = None,
    pod: Annotated[PodOptions, Without("detector")],
    scenarios: ScenarioOptions,
    out: Out = Path("out"),
    clock: Annotated[ClockOptions, Without("writable")],
) -> int:
    """Compare the pod's detectors on the same scenarios.

    Shows which reap the dead, how soon, and which reap the living. Exits 0 if every cell is proved, even if a detector
    fails, and 3 if some are inconclusive.
    """
    request = scenarios.request(names or DEFAULT, pod=pod)
    api = pod.pod_api or PodApiName.SYNC
    request = msgspec.structs.replace(request, detectors=chosen(detectors, api), comparing=True)
    request, jobs, placement = place(request, clock.clock, clock.kernel)
    conditions = record.conditions(request, jobs, placement.clock, again=placement.options)
    count = len(request.detectors)
    presenter = Presenter(
        partial(conclude, out=out),
        compared=f"{count} detectors against {len(jobs) // count} scenarios",
        notes=[
            *_patience(jobs, placement.clock),
            *hindrances.notes(conditions.left_out),
            *([] if detectors else _impossible(api)),
        ],
    )
    return Executor(request, jobs, placement, conditions, out, presenter).carry_out(clock, _AT_ONCE)


def chosen(given: list[str] | None, api: PodApiName = PodApiName.SYNC) -> list[str]:
    """Return the named detectors, each once, in the order given; if none is named, all that the pod can have."""
    named = [name.strip() for text in given or [] for name in text.split(",")]
    return list(dict.fromkeys(name for name in named if name)) or [
        name for name in plugins.names(catalogue) if catalogue.hindrance(plugins.load(catalogue, name), api) is None
    ]


def _impossible(api: PodApiName) -> list[str]:
    """Return a line for each detector that cannot exist with this API, with the reason."""
    reasons = {name: catalogue.hindrance(plugins.load(catalogue, name), api) for name in plugins.names(catalogue)}
    return [f"left out: {name} ({reason})" for name, reason in reasons.items() if reason is not None]


def _patience(jobs: Sequence[Job], clock: str) -> list[str]:
    """Return a note on the least duration on a real clock, if it is one."""
    if clock == "virtual":
        return []
    longest = show_duration(round(sum(hold(job.scenario, job.terms) for job in jobs) / _AT_ONCE))
    return [f"on a real clock this takes about {longest}, on a virtual one a few minutes: halfopen kernel build"]


def conclude(console: Console, conditions: Conditions, done: Sequence[RunResult], wall: float, *, out: Path) -> int:
    """Write and print a table of detectors and scenarios, and a summary for each detector; returns the exit code."""
    table = comparison.as_table(conditions, done, wall)
    record.write_timelines(out, done)
    record.write_table(out / record.COMPARISON, table)
    files = f"results: {out / record.COMPARISON}, report: {out / record.REPORT}"
    code = grid.conclude(console, conditions, done, wall, files)
    # Last, so that the results are kept and reported even if drawing fails.
    folder.write(out, table, done)
    return code
