"""``halfopen field``: run the same scenarios against several servers, one target file each, and report the results."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console

from halfopen.cli import grid
from halfopen.cli.executor import Executor, Presenter
from halfopen.cli.groups import Without
from halfopen.cli.options import ClockOptions, Out, ScenarioOptions
from halfopen.cli.placement import place, profiled
from halfopen.cli.values import option
from halfopen.errors import InputError, reason_of
from halfopen.netns.exit_codes import ExitCode
from halfopen.results import comparison, field_report, record
from halfopen.results.record import Conditions
from halfopen.run import hindrances
from halfopen.run.runner import RunResult
from halfopen.scenario import target_spec
from halfopen.scenario.target_spec import TargetSpec

DEFAULT = ("dead", "alive", "bystanders")
#: Scenarios at once on a real clock.
_AT_ONCE = 8


def field_(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[DIR|FILE]...", help="Target files, or folders to search for them."),
    ] = None,
    *,
    scenario: Annotated[
        list[str] | None,
        option(None, "NAME", f"A scenario, a suite, a .toml file or a folder. Repeatable ({' '.join(DEFAULT)})."),
    ] = None,
    render: Annotated[
        Path | None, option(None, "FILE", "Run nothing. Print the report of this field.json as Markdown.")
    ] = None,
    guard: Annotated[
        bool, typer.Option("--guard", help="Also run each server as it comes under halfopen guard.")
    ] = False,
    scenarios: ScenarioOptions,
    out: Out = Path("out"),
    clock: Annotated[ClockOptions, Without("writable")],
) -> int:
    """Put several servers in front of the same clients.

    Shows which clients are reaped, how soon, and why not. Exits 0 if every cell is proved, even if a server fails, and
    3 if some are inconclusive.
    """
    if render is not None:
        if paths:
            raise InputError("--render: runs nothing, so it takes no target files; leave one of them out")
        typer.echo(_report(render), nl=False)
        return ExitCode.PASSED
    specs = target_spec.find(paths or [])
    if guard:
        specs = [each for spec in specs for each in (spec, *_guarded(spec))]
    servers = {
        spec.name: (spec, "" if hindrances.missing_program(spec) else target_spec.versions(spec)) for spec in specs
    }
    request = msgspec.structs.replace(scenarios.request(scenario or DEFAULT), targets=tuple(specs))
    request, jobs, placement = profiled(*place(request, clock.clock, clock.kernel))
    conditions = dataclasses.replace(
        record.conditions(request, jobs, placement.clock),
        target={"kind": f"{len(specs)} server{'s' * (len(specs) > 1)}"},
    )
    presenter = Presenter(partial(conclude, out=out, servers=servers), notes=hindrances.notes(conditions.left_out))
    return Executor(request, jobs, placement, conditions, out, presenter).carry_out(clock, _AT_ONCE)


def _guarded(spec: TargetSpec) -> list[TargetSpec]:
    """Return the same server with a guard; none of one that has its fix, or runs in a container."""
    if spec.fixes is not None or spec.server is None or spec.guard:
        return []
    return [msgspec.structs.replace(spec, guard=True, title=f"{spec.title or spec.name}, guarded")]


def conclude(
    console: Console,
    conditions: Conditions,
    done: Sequence[RunResult],
    wall: float,
    *,
    out: Path,
    servers: dict[str, tuple[TargetSpec, str]],
) -> int:
    """Write and print a table of servers and scenarios, and a summary for each server; returns the exit code."""
    file = out / record.FIELD
    record.write_timelines(out, done)
    record.write_table(file, comparison.field_as_table(conditions, done, wall, servers))
    return grid.conclude(
        console, conditions, done, wall, f"results: {file}; the report: halfopen field --render {file}"
    )


def _report(file: Path) -> str:
    """Return the report of a field.json; raises InputError if the file is none."""
    try:
        table = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError) as error:
        why = reason_of(error) if isinstance(error, OSError) else error
        raise InputError(
            f"--render {str(file)!r}: cannot be read as {record.FIELD}: {why}; name one that 'halfopen field' wrote"
        ) from None
    if not {"targets", "runs"} <= set(table):
        raise InputError(
            f"--render {str(file)!r}: has no targets and runs; name a {record.FIELD} that 'halfopen field' wrote"
        )
    try:
        return field_report.render(table)
    except KeyError as error:
        raise InputError(
            f"--render {str(file)!r}: the key {error} is missing; write it again with 'halfopen field'"
        ) from None
