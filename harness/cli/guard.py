"""``halfopen guard``: end the sessions of dead clients for any server, without changing it."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Annotated

import typer

from halfopen.cli.values import duration, option, positive_rate
from halfopen.errors import InputError
from halfopen.guard import guarded_server, permission, reap_limit
from halfopen.guard.decision import Guard, GuardTerms
from halfopen.guard.guard_log import GuardLog
from halfopen.guard.guard_loop import GuardLoop
from halfopen.guard.guarded_server import GuardedServer
from halfopen.guard.reap_limit import ReapLimit
from halfopen.guard.socket_ender import Means, SocketEnder
from halfopen.guard.supervisor import StartError, Supervisor
from halfopen.liveness.rule import Terms
from halfopen.netns import interrupts, processes
from halfopen.netns.census import Census
from halfopen.netns.exit_codes import ExitCode
from halfopen.netns.lab_errors import UnitError
from halfopen.netns.units import ByteRate, Duration


class GuardRuleName(StrEnum):
    """Rules that a guard can apply."""

    HALFOPEN = "halfopen"
    BYTES_ACKED = "bytes-acked"


def _limit(text: str) -> ReapLimit:
    """Parse ``--max-reaps``; raises typer.BadParameter."""
    try:
        return reap_limit.parse(text)
    except UnitError as error:
        raise typer.BadParameter(str(error)) from None


def guard(
    command: Annotated[
        list[str] | None, typer.Argument(metavar="-- CMD...", help="The server's command and its arguments.")
    ] = None,
    pid: Annotated[
        int | None, option(None, "PID", "Guard the running server with this process ID, and its children.", min=1)
    ] = None,
    listen: Annotated[
        list[int] | None, option(None, "PORT", "Guard only connections of this port. Repeatable.", min=1, max=65535)
    ] = None,
    grace: Annotated[Duration, duration(None, "End the session of a client that is dead for this long.")] = "30s",  # type: ignore[assignment]
    poll: Annotated[Duration, duration(None, "The time between two polls.")] = "2s",  # type: ignore[assignment]
    rule: Annotated[
        GuardRuleName, option(None, None, "The rule that decides: that of this detector.")
    ] = GuardRuleName.HALFOPEN,
    outage: Annotated[
        Duration | None, duration(None, "The longest outage that a session survives (default: 1.5 graces).")
    ] = None,
    common_outage: Annotated[
        Duration | None, duration(None, "The same if most sessions go dark at once (default: two outages).")
    ] = None,
    min_rate: Annotated[
        ByteRate | None,
        option(None, "RATE", "The lowest rate at which a live client reads (default: 64KiB/s).", parser=positive_rate),
    ] = None,
    max_reaps: Annotated[
        ReapLimit, option(None, "LIMIT", "The most sessions to end in a minute. Others wait.", parser=_limit)
    ] = "10%/min",  # type: ignore[assignment]
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only report the sessions that would be ended.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print each event as one JSON object.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Also say why a session was left alone after all.")
    ] = False,
) -> int:
    """End the sessions of dead clients for a server that does not, without changing it.

    With a command it starts the server, passes signals, input and the terminal on to it, and exits with its code.
    """
    if bool(command) == (pid is not None or bool(listen)) and not (command and listen and pid is None):
        raise InputError("name one server: -- CMD to start it, or --pid PID or --listen PORT if it is running")
    _set_up_logging(verbose=verbose)
    terms = Terms(
        float(grace),
        float(poll),
        outage=None if outage is None else float(outage),
        half_closed=float(grace),
        common_outage=None if common_outage is None else float(common_outage),
        **({} if min_rate is None else {"min_rate": float(min_rate)}),
    )
    decides = Guard(GuardTerms(terms, rule.value, max_reaps))
    # The command's output is the command's.
    log = GuardLog(sys.stderr if command else sys.stdout, json=json)

    if pid is not None:
        processes.join_network(pid)
    with contextlib.closing(Census()) as census:

        def loop_for(server: GuardedServer, means: Callable[[], Sequence[Means]]) -> GuardLoop:
            ender = SocketEnder(census, server, () if dry_run else means())
            return GuardLoop(census, server, decides, ender, log, poll=float(poll), is_dry=dry_run)

        if command:
            return _start(census, command, listen or [], loop_for)
        return _watch(census, pid, listen or [], loop_for, log)


_MakeLoop = Callable[[GuardedServer, Callable[[], Sequence[Means]]], GuardLoop]


def _set_up_logging(*, verbose: bool) -> None:
    # The watchers' own log of common outages; the guard's has them too.
    logging.getLogger("halfopen.liveness").addHandler(logging.NullHandler())
    if verbose:
        logging.basicConfig(format="halfopen guard: %(message)s", stream=sys.stderr)
        logging.getLogger("halfopen.guard").setLevel(logging.DEBUG)


def _start(census: Census, command: Sequence[str], ports: Sequence[int], loop_for: _MakeLoop) -> int:
    server = GuardedServer(census, lambda: processes.family(os.getpid())[1:], ports)
    loop = loop_for(server, lambda: permission.means_for_children(census))

    def is_serving() -> bool:
        server.survey(is_thorough=True)
        return server.listens

    supervisor = Supervisor(command, is_serving)
    try:
        with supervisor.running():
            while (code := supervisor.wait(loop.step())) is None:
                pass
    except StartError as error:
        typer.echo(f"halfopen: {error}", err=True)
        return error.exit_code
    return code


def _watch(census: Census, pid: int | None, ports: Sequence[int], loop_for: _MakeLoop, log: GuardLog) -> int:
    if pid is not None:
        server = guarded_server.of_process(census, pid, ports)
        loop = loop_for(server, lambda: permission.means_for(pid, census, f"--pid {pid}"))
    else:
        here = guarded_server.of_ports(census, ports)
        loop = loop_for(here, lambda: permission.means_for(here.listener(), census, f"--listen {ports[0]}"))
    with contextlib.suppress(KeyboardInterrupt, interrupts.Terminated), interrupts.interrupting():
        while pid is None or processes.is_alive(pid):
            time.sleep(max(0.0, loop.step() - time.monotonic()))
        log.note("ended", f"process {pid} has ended")
    return ExitCode.PASSED
