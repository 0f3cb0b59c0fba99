"""Poll a server again and again, and keep track of its stuck sessions."""

from __future__ import annotations

import datetime
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from halfopen.watch import watched_sessions
from halfopen.watch.tracks import Track, Tracks
from halfopen.watch.watched_server import WatchedServer
from halfopen.watch.watched_sessions import Judges, WatchedSession


@dataclass(frozen=True, slots=True)
class PollTable:
    """One poll, ready to show."""

    server: str
    wall: datetime.datetime
    """Time of day."""
    grace: float
    detector: str
    """Detector whose verdict has a column."""
    sessions: int
    queued: int
    """Number of sessions with bytes queued."""
    stuck: int
    """Number of those stuck for as long as the grace."""
    shown: Sequence[WatchedSession]
    """Sessions that have a row, most stuck first. All have bytes queued."""


class Poller:
    """Polls a server. Read the result of a poll before the next."""

    def __init__(self, server: WatchedServer, judges: Judges, *, whole: bool) -> None:
        """``whole`` includes sessions with nothing queued."""
        self._server, self._judges, self._whole = server, judges, whole
        self._tracks = Tracks(judges.rules)
        self._by_stall: list[Track] = []
        self.stuck: int | None = None
        """Number of sessions stuck at the last poll; None before the first."""

    def poll(self) -> None:
        """Poll once; raises EndedError."""
        self._last = self._server.poll(whole=self._whole)
        self._tracks.follow(self._last.sightings, self._last.t)
        self._by_stall = sorted(self._tracks.queued.values(), key=lambda track: track.moved_at)
        self.stuck = sum(track.stuck >= self._judges.grace for track in self._by_stall)

    @property
    def _wall(self) -> datetime.datetime:
        """Time of day of the poll."""
        return datetime.datetime.now().astimezone() - datetime.timedelta(seconds=time.monotonic() - self._last.t)

    def _sessions(self, most: int | None = None) -> list[WatchedSession]:
        """Return the sessions with bytes queued, at most ``most`` of them, most stuck first."""
        tracks = self._by_stall[:most]
        stuck = [track for track in tracks if self._server.pid or track.stuck >= self._judges.grace]
        owners = self._server.owners(track.last.inode for track in stuck)
        return [watched_sessions.make(track, owners.get(track.last.inode), self._judges) for track in tracks]

    def table(self, detector: str, most: int) -> PollTable:
        """Return the last poll to show, with at most ``most`` sessions."""
        return PollTable(
            str(self._server),
            self._wall,
            self._judges.grace,
            detector,
            self._last.sessions,
            len(self._by_stall),
            self.stuck or 0,
            self._sessions(most),
        )

    def as_data(self) -> dict[str, Any]:
        """Return the last poll as JSON has it (docs/watch.md)."""
        wall = self._wall
        quiet = [seen for seen in self._last.sightings if not seen.outq]
        owners = self._server.owners(seen.inode for seen in quiet) if self._server.pid else {}
        shown = self._sessions()
        shown += [watched_sessions.quiet(seen, owners.get(seen.inode), self._judges) for seen in quiet]
        return {
            "at": wall.isoformat(timespec="milliseconds"),
            "watched": {"pid": self._server.pid, "ports": [port for port in self._server.ports if port]},
            "grace_s": float(self._judges.grace),
            "poll_s": float(self._judges.poll),
            "sessions_open": self._last.sessions,
            "sessions_queued": len(self._by_stall),
            "sessions_stuck": self.stuck,
            "closing": self._last.closing,
            "sessions": [watched_sessions.as_data(session, wall) for session in shown],
        }
