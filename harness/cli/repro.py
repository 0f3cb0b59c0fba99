"""``halfopen repro``: run a scenario until the session wedges, and hold it there for inspection."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import shlex
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from halfopen.cli import screen, surroundings
from halfopen.cli.console import console as make_console
from halfopen.cli.exits import explained, isolated
from halfopen.cli.options import (
    Grace,
    KernelOption,
    MinRate,
    Outage,
    Poll,
    Ready,
    ReapOption,
    Seed,
    detector_options,
    seed_or_random,
)
from halfopen.cli.surroundings import Clock, Kernel, Surroundings
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
from halfopen.cli.values import positive_duration
from halfopen.errors import InputError, reason_of
from halfopen.netns.guest import booting
from halfopen.netns.lab_errors import UnsupportedError
from halfopen.netns.units import Duration, show_duration
from halfopen.repro import frontends, keys, shell, terminal, virtual
from halfopen.repro.director import directed, with_held_watchdog
from halfopen.repro.frontends import HoldOptions
from halfopen.repro.guest_side import HoldPart
from halfopen.repro.session_capture import SessionCapture
from halfopen.results import record, story, words
from halfopen.run import request
from halfopen.run.request import DEFAULT_DETECTOR, RunRequest
from halfopen.run.runner import Job
from halfopen.spawn.peers import PeerUp
from halfopen.targets.keeper import keeping
from halfopen.targets.pod import PodTarget

#: Later than the first stall of any scenario that ships, so that the ping waits for the lock, and not for its pong.
_PING = "10s"
_NAME = "frozen"

Names = Annotated[
    list[str] | None, typer.Argument(metavar="NAME", help="A scenario or a .toml file.", show_default=_NAME)
]
_Clock = Annotated[
    Clock,
    typer.Option(
        envvar="HALFOPEN_CLOCK",
        help="Clock of the lab. The virtual one stands still during the hold. auto: real if possible.",
    ),
]


def repro(
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
            help=f"The pod's detector, disabled while the session is held (default: {DEFAULT_DETECTOR}).",
        ),
    ] = None,
    reap: ReapOption = None,
    min_rate: MinRate = None,
    outage: Outage = None,
    grace: Grace = "30s",  # type: ignore[assignment]
    poll: Poll = "2s",  # type: ignore[assignment]
    ping: Annotated[
        Duration,
        typer.Option(
            parser=positive_duration, metavar="DURATION", help="The time between two keepalive pings of the pod."
        ),
    ] = _PING,  # type: ignore[assignment]
    ready: Ready = "30s",  # type: ignore[assignment]
    pcap: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Capture all packets of the server into this file (pcapng).")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Print the session once it is held, then exit.")] = False,
    hold_for: Annotated[
        Duration | None,
        typer.Option(
            "--for", parser=positive_duration, metavar="DURATION", help="Hold the session for this long, then exit."
        ),
    ] = None,
    pressed: Annotated[
        str, typer.Option("--keys", metavar="KEYS", help="Press these keys once the session is held, one per second.")
    ] = "",
    seed: Seed = None,
    clock: _Clock = Clock.AUTO,
    kernel: KernelOption = Kernel.AUTO,
) -> int:
    """Run a scenario until the session wedges, and hold it there.

    Shows counters, stacks and locks. Keys let you go on.
    """
    call = RunRequest(
        seed=seed_or_random(seed),
        grace=float(grace),
        poll=float(poll),
        names=names or [_NAME],
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
        ready=float(ready),
    )
    if len(call.names) > 1:
        raise InputError(
            f"repro: holds one scenario, got {len(call.names)} ({', '.join(call.names)}); name one of them"
        )
    where, call = _where(call, clock, kernel)
    on_screen = not once and sys.stdout.isatty() and sys.stdin.isatty()
    if why := keys.why_not(pressed, is_virtual=where.kernel is not None, at_terminal=on_screen):
        raise InputError(f"--keys {pressed!r}: {why}")
    job = with_held_watchdog(_only(request.jobs(call), call.names[0]), float(ping))
    if pcap is not None:
        _require_writable(pcap)
    console = make_console()
    again = _again(job, where, [] if ping == positive_duration(_PING) else ["--ping", words.exactly(float(ping))])
    title = f"{job.scenario.called} against {_target(job)}"
    spare = _free(job.scenario.name)
    with terminal.kept(sys.stdin.fileno()) if on_screen else contextlib.nullcontext() as shown_on:
        options = HoldOptions(None if hold_for is None else float(hold_for), pressed, shown_on)
        if where.kernel is not None:
            part = HoldPart(call, title, float(ping), again, None if pcap is None else str(pcap), str(spare))
            greet = partial(_header, call, job, where)
            hold_it = partial(virtual.carry_out, part, where.kernel, greet, options, console)
            return booting.in_private(lambda place: explained(lambda: hold_it(place)))
        console.print(_header(call, job, where), soft_wrap=True)
        capture = SessionCapture(pcap, spare)
        with keeping() if call.target.image is not None else contextlib.nullcontext():
            return isolated(lambda: _hold_here(job, title, capture, options, again, console))


def _hold_here(
    job: Job, title: str, capture: SessionCapture, options: HoldOptions, again: str, console: Console
) -> int:
    """Hold the session on this machine's own kernel, where time goes on. Raises TargetError. Call it isolated."""
    with directed(job, title, capture) as director:
        shells = {
            "s": partial(shell.run, director.server_host, "server"),
            "l": partial(shell.run, director.client_host, "client"),
        }
        code = frontends.attend(director, console, options, keys.REAL, shells)
        frontends.print_account(console, director.account(again, lists_actions=options.terminal is not None))
    return code


def _where(call: RunRequest, clock: Clock, kernel: Kernel) -> tuple[Surroundings, RunRequest]:
    """Return the surroundings, real unless another clock is requested or needed.

    Raises InputError, UnsupportedError.
    """
    if call.target.image is not None:
        where = surroundings.beside_the_engine(clock, kernel)
        return where, msgspec.structs.replace(call, lacks_netem=not surroundings.host_has_netem())
    if kernel is Kernel.GUEST and clock is not Clock.VIRTUAL:
        raise InputError("--kernel guest: holds a session on the virtual clock only; add --clock virtual")
    scenarios = [job.scenario for job in request.jobs(call)]
    lacking = None if clock is Clock.VIRTUAL else surroundings.what_the_host_lacks(scenarios)
    if clock is Clock.VIRTUAL or (clock is Clock.AUTO and lacking is not None and kernel is not Kernel.HOST):
        where = surroundings.choose(Clock.VIRTUAL, kernel, scenarios)
        return dataclasses.replace(where, why=lacking), call
    if lacking is not None:
        raise UnsupportedError(f"{lacking}; use a guest kernel, on the virtual clock (--clock virtual)")
    return Surroundings("real", None), call


def _only(jobs: list[Job], name: str) -> Job:
    """Return the only job; raises InputError if there are several."""
    if len(jobs) > 1:
        names = ", ".join(job.scenario.called for job in jobs[:3])
        raise InputError(f"repro: holds one scenario, and {name!r} names {len(jobs)} ({names} ...); name one of them")
    return jobs[0]


def _require_writable(file: Path) -> None:
    """Check that a capture can be written to a new file, so that nothing is overwritten; raises InputError."""
    try:
        if file.is_char_device() or file.is_fifo():
            return
        if file.is_dir():
            raise InputError(f"--pcap {str(file)!r}: is a folder; name a file")
        file.open("xb").close()
        file.unlink()
    except FileExistsError:
        raise InputError(f"--pcap {str(file)!r}: the file exists; name another file, or remove it") from None
    except OSError as error:
        raise InputError(f"--pcap {str(file)!r}: cannot be written: {reason_of(error)}; name another file") from None


def _free(name: str) -> Path:
    """Return a path for a capture started by a key, that no file has yet."""
    numbered = (Path(f"{name}-{number}.pcapng") for number in itertools.count(2))
    return next(file for file in itertools.chain([Path(f"{name}.pcapng")], numbered) if not _is_there(file))


def _is_there(file: Path) -> bool:
    try:
        return file.exists()
    except OSError:  # nothing can be written there either, as the attempt will report
        return False


def _target(job: Job) -> str:
    if isinstance(job.target, PodTarget):
        return f"the pod ({job.detector})"
    return words.target({"target": job.target.describe()})


def _header(call: RunRequest, job: Job, where: Surroundings, up: PeerUp | None = None) -> str:
    how = record.conditions(call, [job], where.clock)
    if up is not None:
        how = dataclasses.replace(how, kernel=up.kernel, congestion_control=up.congestion_control)
    lines = [screen.header(how, where.why)]
    if isinstance(job.target, PodTarget) and job.target.ping is not None:
        watchdog = "has no watchdog" if job.detector == "none" else "has its watchdog held"
        lines.append(f"the pod {watchdog}, and its keepalive pings every {show_duration(job.target.ping)}")
    return "\n".join(lines)


def _again(job: Job, where: Surroundings, more: list[str]) -> str:
    run = shlex.split(story.again(job, where.options))
    return shlex.join([run[0], "repro", *run[2:], *more])
