"""``halfopen run``: puts a server before its clients and says what it made of each."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Annotated

import typer

from harness import results, suites
from harness.cli import screen
from harness.cli.console import console as make_console
from harness.cli.exits import isolated
from harness.cli.live import progress
from harness.cli.quantities import positive_duration
from harness.errors import InputError
from harness.judge import Terms
from harness.run_view import RunView
from harness.runner import Done, Job, run_all
from harness.scenario import Scenario
from harness.targets.command import CommandTarget
from harness.targets.pod import PodTarget
from netns import capabilities
from netns.errors import UnsupportedError
from netns.lab import kernel_has_discipline
from netns.units import Duration

DEFAULT_DETECTOR = "bytes-acked"


Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NAME]...", help="Scenario, suite, .toml file or folder (default: pod_5090)."),
]


def run(
    names: Names = None,
    server: Annotated[
        str | None,
        typer.Option(metavar="CMD", help="Test this command instead of the pod; {host} and {port} are filled in."),
    ] = None,
    path: Annotated[str, typer.Option(help="WebSocket path the clients ask for.")] = "/",
    sessions: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="HTTP path of the server's own session list, asserted too."),
    ] = None,
    detector: Annotated[
        str | None, typer.Option(metavar="NAME", help=f"The pod's detector (default: {DEFAULT_DETECTOR}).")
    ] = None,
    grace: Annotated[
        Duration,
        typer.Option(parser=positive_duration, metavar="DURATION", help="What expectations are written in."),
    ] = "30s",  # type: ignore[assignment]
    poll: Annotated[
        Duration, typer.Option(parser=positive_duration, metavar="DURATION", help="The detector's poll.")
    ] = "2s",  # type: ignore[assignment]
    hold: Annotated[
        Duration | None,
        typer.Option(
            parser=positive_duration, metavar="DURATION", help="Look so long, instead of each scenario's own."
        ),
    ] = None,
    ready: Annotated[
        Duration,
        typer.Option(parser=positive_duration, metavar="DURATION", help="A server's time to begin listening."),
    ] = "30s",  # type: ignore[assignment]
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where results go.")] = Path("out"),
    seed: Annotated[int | None, typer.Option(metavar="N", help="Repeat a run (default: random, printed).")] = None,
    repeat: Annotated[int, typer.Option(metavar="N", min=1, help="Run every scenario so often.")] = 1,
    jobs: Annotated[int | None, typer.Option(metavar="N", min=1, help="Scenarios at once (default: all).")] = None,
) -> int:
    """Run scenarios against a server. Exits 0 if all passed, 1 if some failed, 3 if some are inconclusive."""
    scenarios = suites.find(names or [])
    targets = [_target(one, server, path, sessions, detector, grace, poll) for one in scenarios]
    for target in targets:
        target.check()
    seed = random.SystemRandom().randrange(2**31) if seed is None else seed
    todo = [
        Job(
            scenario=scenario,
            target=target,
            terms=Terms(grace, poll, hold),
            seed=seed,
            repeat=number,
            ready_within=ready,
            detector=target.detector if isinstance(target, PodTarget) else None,
        )
        for number in range(1, repeat + 1)
        for scenario, target in zip(scenarios, targets, strict=True)
    ]
    _require_own_labels(todo)
    results.check_folder(out)
    used = {job.detector for job in todo}
    how = results.conditions(
        seed=seed,
        grace=grace,
        poll=poll,
        target=targets[0].describe(),
        detector=used.pop() if len(used) == 1 else None,
    )
    return isolated(lambda: _run(todo, how, out, jobs))


def _target(
    scenario: Scenario,
    server: str | None,
    path: str,
    sessions: str | None,
    detector: str | None,
    grace: float,
    poll: float,
) -> PodTarget | CommandTarget:
    if not path.startswith("/"):
        raise InputError(f"--path {path!r} is no path on a server; write it with a slash in front: {'/' + path!r}")
    if server is not None:
        if scenario.detector is not None:
            raise InputError(
                f"scenario {scenario.name!r} shows the pod's detector {scenario.detector!r}, not a --server; "
                "leave it out, or --server"
            )
        if detector is not None:
            raise InputError(f"--detector {detector!r} is the pod's; it has no effect on --server, so leave one out")
        return CommandTarget(server, path, sessions)
    if sessions is not None:
        raise InputError(f"--sessions {sessions!r} goes with --server; the pod's own list is asserted anyway")
    return PodTarget(detector or scenario.detector or DEFAULT_DETECTOR, grace, poll, path)


def _run(todo: list[Job], how: results.Conditions, out: Path, jobs: int | None) -> int:
    _require_kernel([job.scenario for job in todo])
    console = make_console()
    console.print(screen.header(how), soft_wrap=True)
    begun = time.monotonic()
    views = [RunView(job.label) for job in todo]
    with progress(console, views) as on_done:
        done: list[Done] = run_all(todo, views, jobs or len(todo), on_done)
    wall = time.monotonic() - begun
    results.write(out, how, done, wall)
    screen.show(console, done, out, wall)
    return results.exit_code(done)


def _require_own_labels(todo: list[Job]) -> None:
    """Refuse two runs that would be called, and write, the same; raises InputError."""
    seen: dict[str, Job] = {}
    for job in todo:
        other = seen.setdefault(job.label, job)
        if other is not job:
            raise InputError(
                f"two runs would both be called {job.label!r}: {other.scenario.called} and {job.scenario.called}; "
                "rename one file, or run them apart"
            )


def _require_kernel(scenarios: list[Scenario]) -> None:
    """Refuse what this kernel cannot do before anything is started; raises UnsupportedError."""
    wanting = [s for s in scenarios if s.link.to_client.needs_netem or s.link.to_server.needs_netem]
    if not wanting or kernel_has_discipline("netem"):
        return
    first = wanting[0]
    fields = [*first.link.to_client.netem_fields, *first.link.to_server.netem_fields]
    raise UnsupportedError(
        f"scenario {first.name!r} asks for {' and '.join(dict.fromkeys(fields))} on its link, which needs "
        f"sch_netem, and this kernel ({capabilities.kernel_release()}) has none; load it (modprobe sch_netem), "
        "or leave such scenarios out"
    )
