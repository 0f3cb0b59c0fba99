"""``halfopen run``: put a server in front of its clients and report its verdicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.markup import escape

from halfopen.cli import ci_options, live, screen, surroundings
from halfopen.cli.ci_options import BaselineOption, ShardOption, WriteBaseline
from halfopen.cli.executor import Executor, Limits
from halfopen.cli.options import (
    POD,
    SCENARIOS,
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
    Writable,
    detector_options,
    seed_or_random,
)
from halfopen.cli.surroundings import Clock, Kernel
from halfopen.cli.target_options import (
    EdgeOption,
    Environment,
    Headers,
    Image,
    ImageCommand,
    Port,
    Send,
    Server,
    Sessions,
    SessionsField,
    SessionsPointer,
    Subprotocols,
    TargetFile,
    Tls,
    UrlPath,
    described,
)
from halfopen.report import folder
from halfopen.results import github, record
from halfopen.results.baseline import Baseline, read
from halfopen.results.record import Conditions
from halfopen.run import request
from halfopen.run.progress import RunView
from halfopen.run.request import DEFAULT_DETECTOR, RunRequest
from halfopen.run.runner import RunResult

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NAME]...", help="A scenario, a suite, a .toml file or a folder (default: pod_5090)."),
]


def run(
    names: Names = None,
    server: Server = None,
    image: Image = None,
    command: ImageCommand = None,
    env: Environment = None,
    port: Port = None,
    target: TargetFile = None,
    path: UrlPath = None,
    subprotocol: Subprotocols = None,
    header: Headers = None,
    send: Send = None,
    sessions: Sessions = None,
    sessions_pointer: SessionsPointer = None,
    sessions_field: SessionsField = None,
    tls: Tls = None,
    edge: EdgeOption = None,
    detector: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"How the pod decides that a client is dead (default: {DEFAULT_DETECTOR}; docs/detectors.md).",
            rich_help_panel=POD,
        ),
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
    repeat: Annotated[
        int, typer.Option(metavar="N", min=1, help="Run each scenario N times.", rich_help_panel=SCENARIOS)
    ] = 1,
    jobs: Jobs = None,
    clock: ClockOption = Clock.AUTO,
    kernel: KernelOption = Kernel.AUTO,
    writable: Writable = None,
    wall_limit: WallLimit = None,
    shard: ShardOption = None,
    baseline: BaselineOption = None,
    write_baseline: WriteBaseline = None,
) -> int:
    """Run scenarios against a server. Exits 0 if all passed, 1 if some failed, 3 if some are inconclusive."""
    call = RunRequest(
        seed=seed_or_random(seed),
        grace=float(grace),
        poll=float(poll),
        names=names or [],
        target=described(
            target,
            header,
            env,
            server=server,
            image=image,
            command=command,
            port=port,
            path=path,
            subprotocols=subprotocol,
            send=send,
            sessions=sessions,
            sessions_pointer=sessions_pointer,
            sessions_field=sessions_field,
            tls=tls,
            edge=edge,
        ),
        detectors=[] if detector is None else [detector],
        detector_options=detector_options(reap, min_rate, outage),
        hold=None if hold is None else float(hold),
        ready=float(ready),
        repeat=repeat,
        shard=shard,
    )
    known = None if baseline is None else read(baseline)
    ci_options.check_writable(write_baseline)
    in_a_container = call.target.image is not None
    if in_a_container:
        where = surroundings.beside_the_engine(clock, kernel)
        call = msgspec.structs.replace(call, lacks_netem=not surroundings.host_has_netem())
    todo = request.jobs(call)
    if not in_a_container:
        where = surroundings.choose(clock, kernel, [job.scenario for job in todo])
    again = [*where.options, *([] if jobs is None else ["--jobs", str(jobs)])]
    how = record.conditions(call, todo, where.clock, known, again)
    stage = _Stage(out, where.why, request.left_out(call), known, write_baseline)
    effort = Executor(call, todo, where, how, out, stage)
    return effort.carry_out(Limits(jobs, len(todo), writable, wall_limit))


@dataclass(frozen=True, slots=True)
class _Stage:
    """A table of runs, and a story for each that failed."""

    out: Path
    why: str | None
    left_out: Sequence[str]
    baseline: Baseline | None
    write_baseline: Path | None

    def header(self, how: Conditions) -> str:
        return "\n".join([screen.header(how, self.why), *map(escape, self.left_out)])

    def progress(
        self, console: Console, views: Sequence[RunView]
    ) -> AbstractContextManager[Callable[[RunResult], None]]:
        return live.progress(console, views, self.baseline)

    def conclude(self, console: Console, how: Conditions, done: Sequence[RunResult], wall: float) -> int:
        table = record.write(self.out, how, done, wall)
        screen.show(console, how, done, self.out, wall)
        github.report(how, done, wall)
        if self.write_baseline is not None:
            ci_options.write_baseline(console, self.write_baseline, done)
        # Last, so that the results are kept and reported even if drawing fails.
        folder.write(self.out, table, done)
        return record.exit_code(done, how.baseline)
