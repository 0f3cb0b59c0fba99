"""``halfopen probe``: what a server does while nothing disturbs it, and how long it keeps a dead client."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
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
from halfopen.cli.run import patience
from halfopen.errors import InputError
from halfopen.model.profile import Profile
from halfopen.netns.exit_codes import ExitCode
from halfopen.netns.units import Duration, show_duration
from halfopen.results import record
from halfopen.results.record import Conditions
from halfopen.run.request import jobs as requested
from halfopen.run.runner import Job, RunResult
from halfopen.scenario.target_spec import TargetSpec
from halfopen.verdict.judge import Timing, broken_off, deadline

#: Ways to die, and the words for them. The first leaves the client's kernel alive, the second does not.
_DEATHS = {"dead/frozen": "a frozen client", "dead/vanished": "a vanished client"}
#: Seconds for which a dead client is observed, by clock.
_HOLD = {"virtual": 600.0, "real": 60.0}
#: Grace of the scenarios, by clock. Their deadlines lie within that time, so what is still held then is missed.
_GRACE = {"virtual": 30.0, "real": 15.0}
#: The options of scenarios that a probe takes.
ProbeOptions = Annotated[ScenarioOptions, Without("exclude"), Without("grace"), Without("poll"), Without("hold")]
#: What a conclusion gets: its console, the conditions, the runs, and their wall time in seconds; and returns.
_Conclude = Callable[[Console, Conditions, Sequence[RunResult], float], int]


def probe(
    *,
    server: ServerOptions,
    scenarios: ProbeOptions,
    out: Out = Path("probe"),
    clock: Annotated[ClockOptions, Without("writable")],
) -> int:
    """Show what a server does by itself: its stream, pings and answers, and how long it keeps a dead client."""
    return observe(server.spec(), scenarios, clock, out, partial(conclude, out=out))


def observe(target: TargetSpec, scenarios: ScenarioOptions, clock: ClockOptions, out: Path, conclude: _Conclude) -> int:
    """Observe a server undisturbed and with dead clients, and conclude; returns the exit code. Raises InputError."""
    if target.is_pod:
        raise InputError("--server: missing; name your server, as in --server 'python app.py {host} {port}'")
    scenarios = dataclasses.replace(scenarios, grace=Duration(_GRACE["virtual"]), poll=Duration(2))
    request = scenarios.request(list(_DEATHS), target=target, pod=PodOptions())
    request, _, placement = place(request, clock.clock, clock.kernel)
    request = msgspec.structs.replace(request, hold=_HOLD[placement.clock], grace=_GRACE[placement.clock])
    request, jobs, placement = profiled(request, requested(request), placement)
    conditions = record.conditions(request, jobs, placement.clock)
    presenter = Presenter(conclude, notes=patience(jobs, placement.clock, None, has_guest=True))
    return Executor(request, jobs, placement, conditions, out, presenter).carry_out(clock, at_once=len(jobs))


def conclude(console: Console, conditions: Conditions, done: Sequence[RunResult], wall: float, *, out: Path) -> int:
    """Print what was learned, and write it with the runs that it was learned from; returns the exit code."""
    record.write(out, conditions, done, wall)
    if conditions.profile is None:
        return unknown(console, done)
    lines = [*_habits(conditions.profile), *deaths(done)]
    grace = fitting_grace(done, conditions.profile)
    if grace is None:
        lines.append("no --grace fits: a grace is the longest that your server may keep a dead client")
    else:
        lines.append(f"try --grace {grace}s: with it your server notices both in time")
    console.print(escape("\n".join(lines)), soft_wrap=True)
    console.print(escape(f"{show_duration(round(wall, 1))}; results: {out / record.RESULTS}"), soft_wrap=True)
    return ExitCode.PASSED


def unknown(console: Console, done: Sequence[RunResult]) -> int:
    """Print why the server has no profile; returns the exit code."""
    console.print(escape("\n".join(dict.fromkeys(screen.line(run) for run in done))), soft_wrap=True)
    return ExitCode.FAILED


def _habits(profile: Profile) -> Iterator[str]:
    for text, holds in (
        ("answers pings", profile.answers_ping),
        ("answers close frames", profile.answers_close),
        ("reads what clients send", profile.reads),
        ("accepts permessage-deflate", profile.compresses),
    ):
        if holds is not None:
            yield f"  {'yes' if holds else 'no ':<3}  {text}"


def deaths(done: Sequence[RunResult]) -> Iterator[str]:
    """Yield a line for each way to die: how long the server kept the client."""
    for run in done:
        client, after = _client(run), _kept_for(run)
        if after is None:
            yield f"  {client}: {run.verdict.why}"
        elif math.isinf(after):
            yield f"  still holds {client} after {show_duration(run.job.terms.hold or 0.0)}"
        else:
            yield f"  lets go of {client} after {show_duration(round(after, 1))}"


def fitting_grace(done: Sequence[RunResult], profile: Profile) -> int | None:
    """Return the least grace with which every death is noticed in time, in seconds; None if none is.

    It is a multiple of 5, or what the profile suggests if that is more. A client may die right after a ping, and is
    then kept until the next. Here it died some seconds after the last.
    """
    kept = [(run.job, math.inf if (after := _kept_for(run)) is None else after) for run in done]

    def is_met(job: Job, after: float, grace: float) -> bool:
        since_ping = min(profile.pings_every or 0.0, job.terms.seconds(job.scenario.steps[0].at))
        limit = deadline(job.scenario, Timing(grace, job.terms.poll))
        return limit is not None and after + since_ping <= limit

    graces = range(5, int(_HOLD["virtual"]), 5)
    least = next((grace for grace in graces if all(is_met(job, after, grace) for job, after in kept)), None)
    return None if least is None else max(least, round(profile.suggested_grace or 0))


def _client(run: RunResult) -> str:
    return _DEATHS[f"{run.job.scenario.suite}/{run.job.scenario.name}"]


def _kept_for(run: RunResult) -> float | None:
    """Return the seconds for which a dead client was kept, infinite if to the end; None if that is not known."""
    if run.verdict.word == "inconclusive" or broken_off(run.timeline):
        return None
    if run.verdict.after_fault is not None:
        return run.verdict.after_fault
    return math.inf if run.verdict.klass == "missed" else None
