"""``halfopen run``: puts a server before its clients and says what it made of each."""

from __future__ import annotations

import dataclasses
import os
import random
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from harness import calls, results
from harness.calls import DEFAULT_DETECTOR, Call
from harness.cli import screen, surroundings
from harness.cli.console import console as make_console
from harness.cli.exits import explained, isolated
from harness.cli.live import progress
from harness.cli.surroundings import Clock, Kernel, Surroundings
from harness.cli.values import MOST_SEED, ReapBy, positive_duration, positive_rate, writable_folders
from harness.errors import InputError
from harness.guest_part import Hello
from harness.guests import Guests
from harness.guests import run_all as run_in_guests
from harness.results import Conditions
from harness.run_view import RunView
from harness.runner import Done, Job, run_all
from harness.targets.pod import Knobs
from netns.guest import booting
from netns.units import ByteRate, Duration

#: So many scenarios share a guest at once; more take memory and gain nothing on its one processor.
_AT_ONCE = 8

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
    reap: Annotated[
        ReapBy | None, typer.Option(help="How the pod ends a dead client's connection (default: by detector).")
    ] = None,
    min_rate: Annotated[
        ByteRate | None,
        typer.Option(
            parser=positive_rate, metavar="RATE", help="What a live client reads at least (halfopen: 64KiB/s)."
        ),
    ] = None,
    outage: Annotated[
        Duration | None,
        typer.Option(
            parser=positive_duration, metavar="DURATION", help="Outage that is survived (halfopen: 1.5 graces)."
        ),
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
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, max=MOST_SEED, help="Repeat a run (default: random, printed)."),
    ] = None,
    repeat: Annotated[int, typer.Option(metavar="N", min=1, help="Run every scenario so often.")] = 1,
    jobs: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Scenarios at once (default: all); guests, on a virtual clock."),
    ] = None,
    clock: Annotated[
        Clock, typer.Option(envvar="HALFOPEN_CLOCK", help="Whether waiting takes time (auto: not, if it need not).")
    ] = Clock.AUTO,
    kernel: Annotated[
        Kernel, typer.Option(envvar="HALFOPEN_KERNEL", help="Whose network is used: this machine's or a guest's.")
    ] = Kernel.AUTO,
    writable: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="A folder that a server in a guest may write to.")
    ] = None,
    wall_limit: Annotated[
        Duration | None,
        typer.Option(parser=positive_duration, metavar="DURATION", help="Give a guest up after so much real time."),
    ] = None,
) -> int:
    """Run scenarios against a server. Exits 0 if all passed, 1 if some failed, 3 if some are inconclusive."""
    call = Call(
        seed=random.SystemRandom().randrange(2**31) if seed is None else seed,
        grace=float(grace),
        poll=float(poll),
        names=names or [],
        server=server,
        path=path,
        sessions=sessions,
        detector=detector,
        knobs=Knobs(None if reap is None else reap.value, min_rate and float(min_rate), outage and float(outage)),
        hold=None if hold is None else float(hold),
        ready=float(ready),
        repeat=repeat,
    )
    todo = calls.jobs(call)
    where = surroundings.choose(clock, kernel, [job.scenario for job in todo])
    again = [*where.options, *([] if jobs is None else ["--jobs", str(jobs)])]
    how = results.conditions(call, todo, where.clock)
    if where.kernel is None:
        _refuse_in_vain(writable, wall_limit)
        results.check_folder(out)
        return isolated(lambda: _run(todo, how, out, jobs, again, where))
    folders = writable_folders(writable)
    booting.require_folders(folders, [out, *(Path(name) for name in call.names if Path(name).exists())])
    results.check_folder(out)
    virtual = where.clock == "virtual"
    guests = Guests(
        where.kernel,
        virtual=virtual,
        # In real time runs wait side by side; on the virtual clock they take turns on their guest's one processor.
        count=(jobs or os.cpu_count() or 1) if virtual else 1,
        at_once=_AT_ONCE if virtual else jobs or len(todo),
        writable=folders,
        wall_limit=wall_limit,
    )
    return booting.in_private(
        lambda place: explained(lambda: _run_in_guests(call, todo, how, out, guests, again, where, place))
    )


def _refuse_in_vain(writable: list[Path] | None, wall_limit: float | None) -> None:
    """Refuse what only guests have; raises InputError."""
    for option, value in (("--writable", writable), ("--wall-limit", wall_limit)):
        if value:
            raise InputError(f"{option} is for guests, and this runs on the machine's own kernel; leave it out")


def _run(todo: list[Job], how: Conditions, out: Path, jobs: int | None, again: list[str], where: Surroundings) -> int:
    console = make_console()
    console.print(screen.header(how, where.why), soft_wrap=True)
    begun = time.monotonic()
    views = [RunView(job.label) for job in todo]
    with progress(console, views) as on_done:
        done = run_all(todo, views, jobs or len(todo), on_done)
    return _conclude(console, how, done, out, time.monotonic() - begun, again)


def _run_in_guests(
    call: Call,
    todo: list[Job],
    how: Conditions,
    out: Path,
    guests: Guests,
    again: list[str],
    where: Surroundings,
    place: Path,
) -> int:
    console = make_console()
    begun = time.monotonic()
    views = [RunView(job.label) for job in todo]
    greetings: list[Hello] = []

    def on_hello(hello: Hello) -> None:
        greetings.append(hello)
        console.print(screen.header(_as_seen(how, hello), where.why), soft_wrap=True)

    with progress(console, views) as on_done:
        done = run_in_guests(call, todo, views, guests, place, on_hello, on_done)
    return _conclude(console, _as_seen(how, greetings[0]), done, out, time.monotonic() - begun, again)


def _as_seen(how: Conditions, hello: Hello) -> Conditions:
    return dataclasses.replace(how, kernel=hello.kernel, congestion_control=hello.congestion_control)


def _conclude(console: Console, how: Conditions, done: list[Done], out: Path, wall: float, again: list[str]) -> int:
    results.write(out, how, done, wall)
    screen.show(console, done, out, wall, again)
    return results.exit_code(done)
