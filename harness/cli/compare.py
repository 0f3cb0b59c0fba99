"""``halfopen compare``: the verdict of each detector on each scenario."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from halfopen import plugins
from halfopen.cli import grid, live, screen, surroundings
from halfopen.cli.executor import Executor, Limits
from halfopen.cli.options import (
    ClockOption,
    Grace,
    Hold,
    Jobs,
    KernelOption,
    MinRate,
    Out,
    Outage,
    Poll,
    Ready,
    ReapOption,
    Seed,
    WallLimit,
    detector_options,
    seed_or_random,
)
from halfopen.cli.surroundings import Clock, Kernel
from halfopen.netns.units import show_duration
from halfopen.pod import detectors as catalogue
from halfopen.report import folder
from halfopen.results import comparison, record
from halfopen.results.record import Conditions
from halfopen.run import request
from halfopen.run.progress import RunView
from halfopen.run.request import RunRequest
from halfopen.run.runner import Job, RunResult
from halfopen.verdict.judge import hold as held_for

DEFAULT = ("dead", "alive", "ended")
#: Scenarios at once on a real clock. Each is a server, a client and a kernel's timers, and mostly waits.
_AT_ONCE = 16

Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[NAME]...", help=f"A scenario, a suite, a .toml file or a folder (default: {' '.join(DEFAULT)})."
    ),
]


def compare(
    names: Names = None,
    detectors: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[,NAME]...", help="The pod's detectors to compare (default: all of them)."),
    ] = None,
    reap: ReapOption = None,
    min_rate: MinRate = None,
    outage: Outage = None,
    grace: Grace = "30s",  # type: ignore[assignment]
    poll: Poll = "2s",  # type: ignore[assignment]
    hold: Hold = None,
    ready: Ready = "30s",  # type: ignore[assignment]
    out: Out = Path("out"),
    seed: Seed = None,
    jobs: Jobs = None,
    clock: ClockOption = Clock.AUTO,
    kernel: KernelOption = Kernel.AUTO,
    wall_limit: WallLimit = None,
) -> int:
    """Compare the pod's detectors on the same scenarios.

    Shows which reap the dead, how soon, and which reap the living. Exits 0 if every cell is proved, even if a detector
    fails, and 3 if some are inconclusive.
    """
    call = RunRequest(
        seed=seed_or_random(seed),
        grace=float(grace),
        poll=float(poll),
        names=names or list(DEFAULT),
        detectors=chosen(detectors),
        comparing=True,
        detector_options=detector_options(reap, min_rate, outage),
        hold=None if hold is None else float(hold),
        ready=float(ready),
    )
    todo = request.jobs(call)
    where = surroundings.choose(clock, kernel, [job.scenario for job in todo])
    how = record.conditions(call, todo, where.clock, again=where.options)
    stage = _Stage(out, where.why, _what(call, todo), _patience(todo, where.clock), request.left_out(call))
    effort = Executor(call, todo, where, how, out, stage)
    return effort.carry_out(Limits(jobs, _AT_ONCE, None, wall_limit))


def chosen(given: list[str] | None) -> list[str]:
    """Return the named detectors, each once, in the order given; all of the pod's if none is named."""
    named = [name.strip() for text in given or [] for name in text.split(",")]
    return list(dict.fromkeys(name for name in named if name)) or plugins.names(catalogue)


def _what(call: RunRequest, todo: Sequence[Job]) -> str:
    scenarios = len(todo) // len(call.detectors)
    return f"{len(call.detectors)} detectors against {scenarios} scenarios"


def _patience(todo: Sequence[Job], clock: str) -> str | None:
    """Return a note on the least duration on a real clock; None on a virtual one."""
    if clock == "virtual":
        return None
    longest = sum(held_for(job.scenario, job.terms) for job in todo) / _AT_ONCE
    return (
        f"on a real clock this takes about {show_duration(round(longest))}, "
        "on a virtual one a few minutes: halfopen kernel build"
    )


@dataclass(frozen=True, slots=True)
class _Stage:
    """A table of detectors and scenarios, and a summary for each detector."""

    out: Path
    why: str | None
    what: str
    patience: str | None
    left_out: Sequence[str]

    def header(self, how: Conditions) -> str:
        lines = [screen.header(how, self.why, self.what), self.patience, *map(escape, self.left_out)]
        return "\n".join(filter(None, lines))

    def progress(
        self, console: Console, views: Sequence[RunView]
    ) -> AbstractContextManager[Callable[[RunResult], None]]:
        return live.count(console, views)

    def conclude(self, console: Console, how: Conditions, done: Sequence[RunResult], wall: float) -> int:
        record.write_timelines(self.out, done)
        table = comparison.as_table(how, done, wall)
        record.write_table(self.out / record.COMPARISON, table)
        files = f"results: {self.out / record.COMPARISON}, report: {self.out / record.REPORT}"
        code = grid.conclude(console, done, wall, files)
        # Last, so that the results are kept and reported even if drawing fails.
        folder.write(self.out, table, done)
        return code
