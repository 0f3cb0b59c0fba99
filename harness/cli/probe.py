"""``halfopen probe``: what a server does while nothing disturbs it, and how long it keeps a dead client."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
from rich.console import Console
from rich.markup import escape

from halfopen.cli import screen
from halfopen.cli.executor import Executor, Presenter
from halfopen.cli.groups import Without
from halfopen.cli.options import ClockOptions, Out, PodOptions, ScenarioOptions, ServerOptions
from halfopen.cli.placement import place, profiled
from halfopen.errors import InputError
from halfopen.model.profile import Profile
from halfopen.netns.exit_codes import ExitCode
from halfopen.netns.units import Duration, show_duration
from halfopen.results import record
from halfopen.results.record import Conditions
from halfopen.run.request import jobs as requested
from halfopen.run.runner import RunResult
from halfopen.verdict.judge import broken_off

#: Ways to die, and the words for them. The first leaves the client's kernel alive, the second does not.
_DEATHS = {"dead/frozen": "a frozen client", "dead/vanished": "a vanished client"}
#: Seconds for which a dead client is observed, by clock.
_HOLD = {"virtual": 600.0, "real": 60.0}


def probe(
    *,
    server: ServerOptions,
    scenarios: Annotated[ScenarioOptions, Without("exclude"), Without("grace"), Without("poll"), Without("hold")],
    out: Out = Path("probe"),
    clock: Annotated[ClockOptions, Without("writable")],
) -> int:
    """Show what a server does by itself: its stream, pings and answers, and how long it keeps a dead client."""
    target = server.spec()
    if target.is_pod:
        raise InputError("--server: missing; name the server to probe, as in --server 'python app.py {host} {port}'")
    scenarios = dataclasses.replace(scenarios, grace=Duration(30), poll=Duration(2))
    request = scenarios.request(list(_DEATHS), target=target, pod=PodOptions())
    request, _, placement = place(request, clock.clock, clock.kernel)
    hold = _HOLD[placement.clock]
    request = msgspec.structs.replace(request, hold=hold)
    request, jobs, placement = profiled(request, requested(request), placement)
    conditions = record.conditions(request, jobs, placement.clock)
    presenter = Presenter(partial(conclude, out=out, hold=hold))
    return Executor(request, jobs, placement, conditions, out, presenter).carry_out(clock, at_once=len(jobs))


def conclude(
    console: Console, conditions: Conditions, done: Sequence[RunResult], wall: float, *, out: Path, hold: float
) -> int:
    """Print what was learned, and write it with the runs that it was learned from; returns the exit code."""
    record.write(out, conditions, done, wall)
    if conditions.profile is None:
        console.print(escape("\n".join(dict.fromkeys(screen.line(run) for run in done))), soft_wrap=True)
        return ExitCode.FAILED
    lines = [*_habits(conditions.profile), *_deaths(done, hold)]
    console.print(escape("\n".join(lines)), soft_wrap=True)
    console.print(escape(f"{show_duration(round(wall, 1))}; results: {out / record.RESULTS}"), soft_wrap=True)
    return ExitCode.PASSED


def _habits(profile: Profile) -> Iterator[str]:
    for text, holds in (
        ("answers pings", profile.answers_ping),
        ("answers close frames", profile.answers_close),
        ("reads what clients send", profile.reads),
        ("accepts permessage-deflate", profile.compresses),
    ):
        if holds is not None:
            yield f"  {'yes' if holds else 'no ':<3}  {text}"


def _deaths(done: Sequence[RunResult], hold: float) -> Iterator[str]:
    longest = 0.0
    for run in done:
        client, after = _DEATHS[f"{run.job.scenario.suite}/{run.job.scenario.name}"], run.verdict.after_fault
        if run.verdict.word == "inconclusive" or broken_off(run.timeline):
            longest = math.inf
            yield f"  {client}: {run.verdict.why}"
        elif after is not None:
            longest = max(longest, after)
            yield f"  lets go of {client} after {show_duration(round(after, 1))}"
        elif run.verdict.klass == "missed":
            longest = math.inf
            yield f"  still holds {client} after {show_duration(hold)}"
        else:
            longest = math.inf
            yield f"  {client}: {run.verdict.why}"
    if not math.isinf(longest):
        yield f"try --grace {math.ceil(longest / 5) * 5 or 5}s: no dead client was held for longer"
    else:
        yield "no --grace fits: a grace is the longest that your server may keep a dead client"
