"""``halfopen watch``: list the stuck sessions of a running server, and the verdict of each detector on them."""

from __future__ import annotations

import contextlib
import datetime
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.live import Live

from halfopen.cli import watch_screen
from halfopen.cli.console import console as make_console
from halfopen.cli.values import duration
from halfopen.cli.watch_screen import PollTable
from halfopen.displays import displayed
from halfopen.errors import InputError, suggest
from halfopen.netns import interrupts
from halfopen.netns.exit_codes import ExitCode
from halfopen.netns.units import Duration
from halfopen.watch import watched_server, watched_sessions
from halfopen.watch.forecast import DETECTORS
from halfopen.watch.tracks import Track, Tracks
from halfopen.watch.watched_server import EndedError, ServerPoll, WatchedServer
from halfopen.watch.watched_sessions import WatchedSession

#: Most rows of a poll that is printed whole; more than a terminal has lines.
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

    It reports what the kernel says of their sockets. Exits with 1 if at the last poll a session was stuck for as long
    as the grace.
    """
    if detector not in DETECTORS:
        raise InputError(f"unknown detector {detector!r}; {suggest(detector, DETECTORS)}")
    if queued and not json:
        raise InputError("--queued is for --json: without it only sessions with bytes queued have a row anyway")
    if once and lasting is not None:
        raise InputError("--once and --for contradict each other: leave one out")
    watched = watched_server.find(pid, listen or [], all_connections=all_connections)
    terms = WatchSettings(grace, poll, detector)
    how = How(interval, 0.0 if once else lasting)
    eye = Eye(watched, terms, whole=json and not queued)
    try:
        with interrupts.interrupting():
            _show(eye, how, json=json, once=once)
    except (KeyboardInterrupt, interrupts.Terminated):
        # The usual end of an endless view. But before the first poll nothing is known.
        if eye.stuck is None:
            raise
    return ExitCode.FAILED if eye.stuck else ExitCode.PASSED


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """Criteria for judging sessions."""

    grace: float
    poll: float
    detector: str


@dataclass(frozen=True, slots=True)
class How:
    """Interval and duration of polling."""

    interval: float
    lasting: float | None
    """Seconds; 0 polls once, None polls until interrupted."""


class Eye:
    """Polls a server again and again."""

    def __init__(self, watched: WatchedServer, terms: WatchSettings, *, whole: bool) -> None:
        self._server = watched
        self._terms = terms
        self._whole = whole
        self._tracks = Tracks()
        self.stuck: int | None = None
        """Number of sessions stuck at the last poll; None before the first."""

    def look(self) -> Polled:
        """Poll once; raises EndedError."""
        look = self._server.look(whole=self._whole)
        self._tracks.follow(look.sightings, look.t)
        by_stall = sorted(self._tracks.queued.values(), key=lambda track: track.moved_at)
        self.stuck = stuck = sum(track.stuck >= self._terms.grace for track in by_stall)
        return Polled(self._server, self._terms, look, by_stall, stuck)


@dataclass(frozen=True, slots=True)
class Polled:
    """Result of one poll."""

    _server: WatchedServer
    _terms: WatchSettings
    _look: ServerPoll
    queued: Sequence[Track]
    """The sessions with bytes queued, most stuck first."""
    stuck: int

    @property
    def wall(self) -> datetime.datetime:
        """Time of day of the poll."""
        return datetime.datetime.now().astimezone() - datetime.timedelta(seconds=time.monotonic() - self._look.t)

    def sessions(self, most: int | None = None) -> list[WatchedSession]:
        """Return the sessions with bytes queued, at most ``most`` of them."""
        tracks = self.queued[:most]
        told = [track for track in tracks if self._server.pid or track.stuck >= self._terms.grace]
        owners = self._server.owners(track.last.inode for track in told)
        return [
            watched_sessions.make(track, owners.get(track.last.inode), self._terms.grace, self._terms.poll)
            for track in tracks
        ]

    def picture(self, most: int) -> PollTable:
        """Return the picture to show, with at most ``most`` sessions."""
        return PollTable(
            str(self._server),
            self.wall,
            self._terms.grace,
            self._terms.detector,
            self._look.sessions,
            len(self.queued),
            self.stuck,
            self.sessions(most),
        )

    def as_data(self) -> dict[str, Any]:
        """Return the JSON form (docs/watch.md)."""
        wall = self.wall
        quiet = [seen for seen in self._look.sightings if not seen.outq]
        owners = self._server.owners(seen.inode for seen in quiet) if self._server.pid else {}
        shown = self.sessions() + [watched_sessions.quiet(seen, owners.get(seen.inode)) for seen in quiet]
        return {
            "at": wall.isoformat(timespec="milliseconds"),
            "watched": {"pid": self._server.pid, "ports": [port for port in self._server.ports if port]},
            "grace_s": float(self._terms.grace),
            "poll_s": float(self._terms.poll),
            "sessions_open": self._look.sessions,
            "sessions_queued": len(self.queued),
            "sessions_stuck": self.stuck,
            "closing": self._look.closing,
            "sessions": [watched_sessions.as_data(session, wall) for session in shown],
        }


def _looks(eye: Eye, how: How) -> Iterator[Polled]:
    """Yield a poll at every interval until the duration is over."""
    due = began = time.monotonic()
    while True:
        try:
            yield eye.look()
        except EndedError as error:
            typer.echo(f"halfopen: {error}", err=True)
            return
        now = time.monotonic()
        due = max(due + how.interval, now)
        if how.lasting is not None and due - began > how.lasting:
            return
        time.sleep(due - now)


def _show(eye: Eye, how: How, *, json: bool, once: bool) -> None:
    if json:
        _as_json(eye, how)
    elif once:
        for seen in _looks(eye, how):
            watch_screen.show(make_console(), seen.picture(_ROWS))
    else:
        _continually(make_console(), eye, how)


def _as_json(eye: Eye, how: How) -> None:
    encode = msgspec.json.Encoder().encode
    for seen in _looks(eye, how):
        typer.echo(encode(seen.as_data()).decode())


def _continually(console: Console, eye: Eye, how: How) -> None:
    if not console.is_terminal:
        _in_lines(console, eye, how)
        return
    last = None
    live = Live(console=console, auto_refresh=False, transient=True)
    with displayed(live) as shown, contextlib.suppress(KeyboardInterrupt, interrupts.Terminated):
        for seen in _looks(eye, how):
            last = seen.picture(max(_ROWS, console.height))
            shown.update(watch_screen.live(last, console.width, console.height), refresh=True)
    if last is not None:
        watch_screen.show(console, last)


def _in_lines(console: Console, eye: Eye, how: How) -> None:
    """Print lines off a terminal: the first poll whole, then a line whenever a session becomes stuck or recovers."""
    known: dict[bytes, WatchedSession] | None = None
    for seen in _looks(eye, how):
        picture = seen.picture(_ROWS)
        now = {session.seen.key: session for session in picture.shown if session.stuck >= picture.grace}
        if known is None:
            watch_screen.show(console, picture)
        else:
            for text in watch_screen.news(known, now, picture):
                console.print(text, soft_wrap=True, markup=False)
        known = now
