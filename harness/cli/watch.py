"""``halfopen watch``: list the stuck sessions of a running server, and the verdict of each detector on them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.live import Live

from halfopen.cli import watch_screen
from halfopen.cli.console import console as make_console
from halfopen.cli.values import duration
from halfopen.displays import displayed
from halfopen.errors import InputError
from halfopen.netns import interrupts
from halfopen.netns.exit_codes import ExitCode
from halfopen.netns.units import Duration
from halfopen.watch import watched_server, watched_sessions
from halfopen.watch.poller import Poller, PollTable
from halfopen.watch.watched_server import EndedError
from halfopen.watch.watched_sessions import WatchedSession

#: Most sessions of a poll that are shown; more than a terminal has lines.
_ROWS = 200


def watch(
    pid: Annotated[
        int | None, typer.Option(metavar="PID", min=1, help="Watch the server with this process ID, and its children.")
    ] = None,
    listen: Annotated[
        list[int] | None,
        typer.Option(metavar="PORT", min=1, max=65535, help="Watch the server that listens on this port."),
    ] = None,
    all_connections: Annotated[
        bool, typer.Option("--all", help="With --pid: also connections that the server opened itself.")
    ] = False,
    grace: Annotated[
        Duration, duration(None, "A session is stuck after this long. Also the detectors' grace.")
    ] = "30s",  # type: ignore[assignment]
    poll: Annotated[Duration, duration(None, "The detectors' poll.")] = "2s",  # type: ignore[assignment]
    detector: Annotated[
        str, typer.Option(metavar="NAME", help="The detector that predicts a verdict for each session.")
    ] = "bytes-acked",
    interval: Annotated[Duration, duration(None, "The time between two polls.")] = "1s",  # type: ignore[assignment]
    lasting: Annotated[Duration | None, duration(None, "Stop after this long (default: at Ctrl-C).", "--for")] = None,
    once: Annotated[bool, typer.Option("--once", help="Poll once, then exit.")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print each poll as one JSON object with every session.")
    ] = False,
    queued: Annotated[bool, typer.Option("--queued", help="With --json: only sessions with bytes queued.")] = False,
) -> int:
    """Watch the sessions of a running server, and touch nothing.

    It reports the kernel's data on their sockets. Exits with 1 if at the last poll a session was stuck for as long
    as the grace.
    """
    if queued and not json:
        raise InputError("--queued: works only with --json; leave it out (a table has no other sessions)")
    if once and lasting is not None:
        raise InputError("--once and --for cannot be used together; leave one out")
    judges = watched_sessions.judges(grace, poll, detector)
    server = watched_server.find(pid, listen or [], all_connections=all_connections)
    poller = Poller(server, judges, whole=json and not queued)
    polls = _polls(poller, interval, 0.0 if once else lasting)
    try:
        with interrupts.interrupting():
            if json:
                for _ in polls:
                    typer.echo(msgspec.json.encode(poller.as_data()).decode())
            else:
                _show(make_console(), (poller.table(detector, _ROWS) for _ in polls), once=once)
    except (KeyboardInterrupt, interrupts.Terminated):
        # The usual end of an endless view. But before the first poll nothing is known.
        if poller.stuck is None:
            raise
    return ExitCode.FAILED if poller.stuck else ExitCode.PASSED


def _polls(poller: Poller, interval: float, lasting: float | None) -> Iterator[None]:
    """Poll at every interval, for so many seconds; 0 polls once, None until interrupted."""
    due = began = time.monotonic()
    while True:
        try:
            poller.poll()
        except EndedError as error:
            typer.echo(f"halfopen: {error}", err=True)
            return
        yield
        now = time.monotonic()
        due = max(due + interval, now)
        if lasting is not None and due - began > lasting:
            return
        time.sleep(due - now)


def _show(console: Console, tables: Iterator[PollTable], *, once: bool) -> None:
    """Show the polls: live on a terminal, else the first one whole and a line for each later change."""
    if console.is_terminal and not once:
        last = None
        live = Live(console=console, auto_refresh=False, transient=True)
        with displayed(live) as shown, contextlib.suppress(KeyboardInterrupt, interrupts.Terminated):
            for last in tables:
                shown.update(watch_screen.live(last, console.width, console.height), refresh=True)
        if last is not None:
            watch_screen.show(console, last)
        return
    known: dict[bytes, WatchedSession] | None = None
    for table in tables:
        now = {session.seen.key: session for session in table.shown if session.stuck >= table.grace}
        if known is None:
            watch_screen.show(console, table)
        else:
            for text in watch_screen.news(known, now, table):
                console.print(text, soft_wrap=True, markup=False)
        known = now
