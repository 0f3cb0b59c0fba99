"""``halfopen repro``: run a scenario until the session wedges, and hold it there for inspection."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import shlex
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from halfopen.cli import placement as placements
from halfopen.cli import screen
from halfopen.cli.console import console as make_console
from halfopen.cli.exits import explained, isolated
from halfopen.cli.groups import Without
from halfopen.cli.options import KernelOption, PodOptions, ScenarioOptions, ServerOptions
from halfopen.cli.placement import Clock, Kernel, Placement
from halfopen.cli.values import duration, option, positive_duration
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
from halfopen.run.request import DEFAULT_DETECTOR, RunRequest, jobs
from halfopen.run.runner import Job
from halfopen.scenario.spec import CROWD, SUBJECT, Scenario
from halfopen.spawn.peers import PeerUp
from halfopen.targets.keeper import keeping
from halfopen.targets.pod import PodTarget

#: Later than the first stall of any scenario that ships, so that the ping waits for the lock, and not for its pong.
_PING = "10s"
_NAME = "frozen"


def repro(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="A scenario or a .toml file.", show_default=_NAME)
    ] = None,
    *,
    server: ServerOptions,
    detector: Annotated[
        str | None,
        option(None, "NAME", f"The pod's detector, disabled while the session is held (default: {DEFAULT_DETECTOR})."),
    ] = None,
    pod: Annotated[PodOptions, Without("detector")],
    scenarios: Annotated[ScenarioOptions, Without("exclude"), Without("hold")],
    ping: Annotated[Duration, duration(None, "The time between two keepalive pings of the pod.")] = _PING,  # type: ignore[assignment]
    pcap: Annotated[
        Path | None, option(None, "FILE", "Capture all packets of the server into this file (pcapng).")
    ] = None,
    once: Annotated[bool, option(None, None, "Print the session once it is held, then exit.", "--once")] = False,
    hold_for: Annotated[Duration | None, duration(None, "Hold the session for this long, then exit.", "--for")] = None,
    pressed: Annotated[
        str, option(None, "KEYS", "Press these keys once the session is held, one per second.", "--keys")
    ] = "",
    clock: Annotated[
        Clock,
        option(
            None,
            None,
            "Clock of the lab. The virtual one stands still during the hold. auto: real if possible.",
            envvar="HALFOPEN_CLOCK",
        ),
    ] = Clock.AUTO,
    kernel: KernelOption = Kernel.AUTO,
) -> int:
    """Run a scenario until the session wedges, and hold it there.

    Shows counters, stacks and locks. Keys let you go on.
    """
    pod = dataclasses.replace(pod, detector=detector)
    request = scenarios.request(names or [_NAME], target=server.spec(), pod=pod)
    request, placement = _place(request, clock, kernel)
    on_screen = not once and sys.stdout.isatty() and sys.stdin.isatty()
    if why := keys.why_not(pressed, is_virtual=placement.kernel is not None, at_terminal=on_screen):
        raise InputError(f"--keys {pressed!r}: {why}")
    job = with_held_watchdog(_only(request), float(ping))
    if pcap is not None:
        _require_writable(pcap)
    console = make_console()
    again = _again(job, placement, [] if ping == positive_duration(_PING) else ["--ping", words.exactly(float(ping))])
    title = f"{job.scenario.called} against {_target(job)}"
    spare = _free(job.scenario.name)
    with terminal.kept(sys.stdin.fileno()) if on_screen else contextlib.nullcontext() as shown_on:
        options = HoldOptions(None if hold_for is None else float(hold_for), pressed, shown_on)
        if placement.kernel is not None:
            part = HoldPart(request, title, float(ping), again, None if pcap is None else str(pcap), str(spare))
            header = partial(_header, request, job, placement)
            hold_it = partial(virtual.carry_out, part, placement.kernel, header, options, console)
            return booting.in_private(lambda place: explained(lambda: hold_it(place)))
        console.print(_header(request, job, placement), soft_wrap=True)
        capture = SessionCapture(pcap, spare)
        with keeping() if request.target.image is not None else contextlib.nullcontext():
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


def _place(request: RunRequest, clock: Clock, kernel: Kernel) -> tuple[RunRequest, Placement]:
    """Return the request and its placement: a real clock, unless another one is requested or needed.

    Raises InputError, UnsupportedError.
    """
    if request.target.image is not None:
        return placements.beside_the_engine(request, clock, kernel)
    if kernel is Kernel.GUEST and clock is not Clock.VIRTUAL:
        raise InputError("--kernel guest: repro uses a guest on the virtual clock only; add --clock virtual")
    scenarios = [job.scenario for job in jobs(request)]
    lacking = None if clock is Clock.VIRTUAL else placements.what_the_host_lacks(scenarios)
    if clock is Clock.VIRTUAL or (clock is Clock.AUTO and lacking is not None and kernel is not Kernel.HOST):
        placement = placements.choose(Clock.VIRTUAL, kernel, scenarios)
        return request, dataclasses.replace(placement, why=None if lacking is None else lacking.why)
    if lacking is not None:
        raise UnsupportedError(f"{lacking.why}; use a guest kernel, on the virtual clock: --clock virtual")
    return request, Placement("real", None)


def _only(request: RunRequest) -> Job:
    """Return the only job; raises InputError if there are several."""
    found = jobs(request)
    if len(found) > 1:
        called = ", ".join([job.scenario.called for job in found[:3]] + ["..."] * (len(found) > 3))
        names = ", ".join(request.names)
        raise InputError(f"{names}: repro holds one scenario, not {len(found)} ({called}); name one of them")
    return found[0]


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
    # os.path.exists is False for a path that may not be read. Nothing can be written there, as the attempt will report.
    return next(file for file in itertools.chain([Path(f"{name}.pcapng")], numbered) if not os.path.exists(file))  # noqa: PTH110


def _target(job: Job) -> str:
    if isinstance(job.target, PodTarget):
        return f"the pod ({job.detector})"
    return words.target({"target": job.target.describe()})


def _header(request: RunRequest, job: Job, placement: Placement, up: PeerUp | None = None) -> str:
    conditions = record.conditions(request, [job], placement.clock)
    if up is not None:
        conditions = dataclasses.replace(conditions, kernel=up.kernel, congestion_control=up.congestion_control)
    lines = [screen.header(conditions, placement.why)]
    if isinstance(job.target, PodTarget) and job.target.ping is not None:
        watchdog = "has no watchdog" if job.detector == "none" else "has its watchdog held"
        lines.append(f"the pod {watchdog}, and its keepalive pings every {show_duration(job.target.ping)}")
    return "\n".join([*lines, *company(job.scenario)])


def company(scenario: Scenario) -> list[str]:
    """Return a line on the other clients, if there are any: those that are connected too, and those left out."""
    present = [other.name for other in scenario.others if other.comes_first]
    present += [] if scenario.crowd is None else [f"{CROWD} of {scenario.crowd.count}"]
    late = [other.name for other in scenario.others if not other.comes_first]
    if not present and not late:
        return []
    parts = [f"connected too: {', '.join(present)}"] if present else []
    parts += [f"left out, since they connect later: {', '.join(late)}"] if late else []
    struck = any(step.on != SUBJECT for step in scenario.steps)
    return ["; ".join([*parts, *(["nothing is done to them"] if struck else [])])]


def _again(job: Job, placement: Placement, more: list[str]) -> str:
    run = shlex.split(story.again(job, placement.options))
    return shlex.join([run[0], "repro", *run[2:], *more])
