"""``halfopen field``: run the same scenarios against several servers, one target file each, and report the results."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.markup import escape

from halfopen.cli import grid, live, screen, surroundings
from halfopen.cli.executor import Executor, Limits
from halfopen.cli.options import (
    ClockOption,
    Grace,
    Hold,
    Jobs,
    KernelOption,
    Out,
    Poll,
    Ready,
    Seed,
    WallLimit,
    seed_or_random,
)
from halfopen.cli.surroundings import Clock, Kernel
from halfopen.errors import InputError, reason_of
from halfopen.netns.exit_codes import ExitCode
from halfopen.results import comparison, field_report, record
from halfopen.results.record import Conditions
from halfopen.run import request
from halfopen.run.progress import RunView
from halfopen.run.request import RunRequest
from halfopen.run.runner import RunResult
from halfopen.scenario import target_files
from halfopen.scenario.target_spec import TargetSpec

DEFAULT = ("dead", "alive")
#: Scenarios at once on a real clock.
_AT_ONCE = 8


def field_(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[DIR|FILE]...", help="Target files, or folders to search for them."),
    ] = None,
    scenario: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help=f"A scenario, a suite, a .toml file or a folder. Repeatable ({' '.join(DEFAULT)})."
        ),
    ] = None,
    render: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Run nothing. Print the report of this field.json as Markdown.")
    ] = None,
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
    """Put several servers in front of the same clients.

    Shows which clients are reaped, how soon, and why not. Exits 0 if every cell is proved, even if a server fails, and
    3 if some are inconclusive.
    """
    if render is not None:
        if paths:
            raise InputError("--render runs nothing: leave it out, or the target files")
        typer.echo(_report(render), nl=False)
        return ExitCode.PASSED
    specs = target_files.find(paths or [])
    servers = {spec.name: (spec, target_files.versions(spec)) for spec in specs}
    call = RunRequest(
        seed=seed_or_random(seed),
        grace=float(grace),
        poll=float(poll),
        names=scenario or list(DEFAULT),
        targets=tuple(specs),
        hold=None if hold is None else float(hold),
        ready=float(ready),
    )
    todo = request.jobs(call)
    where = surroundings.choose(clock, kernel, [job.scenario for job in todo])
    how = dataclasses.replace(
        record.conditions(call, todo, where.clock), target={"kind": f"{len(specs)} server{'s' * (len(specs) > 1)}"}
    )
    effort = Executor(call, todo, where, how, out, _Stage(out, where.why, servers, request.left_out(call)))
    return effort.carry_out(Limits(jobs, _AT_ONCE, None, wall_limit))


def _report(file: Path) -> str:
    """Return the report of a field.json; raises InputError if the file is none."""
    table = _read(file)
    try:
        return field_report.render(table)
    except KeyError as error:
        raise InputError(f"--render {str(file)!r}: the key {error} is missing; make it anew: halfopen field") from None


def _read(file: Path) -> dict[str, Any]:
    try:
        table = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError) as error:
        why = reason_of(error) if isinstance(error, OSError) else error
        raise InputError(
            f"--render {str(file)!r}: no {record.FIELD} can be read there: {why}; name one that 'halfopen field' wrote"
        ) from None
    if not {"targets", "runs"} <= set(table):
        raise InputError(f"--render {str(file)!r}: has no targets and runs; take a {record.FIELD} of 'halfopen field'")
    return table


@dataclass(frozen=True, slots=True)
class _Stage:
    """A table of servers and scenarios, and a summary for each server."""

    out: Path
    why: str | None
    servers: dict[str, tuple[TargetSpec, str]]
    left_out: Sequence[str]

    def header(self, how: Conditions) -> str:
        return "\n".join([screen.header(how, self.why), *map(escape, self.left_out)])

    def progress(
        self, console: Console, views: Sequence[RunView]
    ) -> AbstractContextManager[Callable[[RunResult], None]]:
        return live.count(console, views)

    def conclude(self, console: Console, how: Conditions, done: Sequence[RunResult], wall: float) -> int:
        record.write_timelines(self.out, done)
        file = self.out / record.FIELD
        record.write_table(file, comparison.field_as_table(how, done, wall, self.servers, self.left_out))
        return grid.conclude(console, done, wall, f"results: {file}; the report: halfopen field --render {file}")
