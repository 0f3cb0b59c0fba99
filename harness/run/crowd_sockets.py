"""The server's sockets of a crowd: one dump for all of them at a time, and the kernel's announcements of their ends."""

from __future__ import annotations

import contextlib
import select
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from halfopen.model.evidence import ALIVE_STATES
from halfopen.model.journal import Journal
from halfopen.netns.background import background
from halfopen.netns.census import Census
from halfopen.netns.sockets import EndListener, SocketSample, identity
from halfopen.run.lab_server import LabServer
from halfopen.run.recorder import kernel_announces_ends

#: Seconds between two notes on all sockets.
_INTERVAL = 0.5
#: Seconds between two dumps if the kernel announces only the release of a socket, which may come long after its end.
_OFTEN = 0.1


@dataclass
class _Connection:
    port: int
    """The client's port, or the edge's."""
    since: float
    is_open: bool = True


class CrowdSockets:
    """Notes the sockets of clients at one address, apart from those that were there before, and the end of each."""

    def __init__(self, server: LabServer, source: str, journal: Journal, census: Census, ends: EndListener) -> None:
        """``source``: the IP address from which the server sees them."""
        self._port, self._source, self._journal = server.site.port, source, journal
        self._census, self._ends = census, ends
        self._interval = _INTERVAL if kernel_announces_ends() else _OFTEN
        self._others = {sample.key for sample in self._census.poll([self._port], whole=True).samples}
        self._connections: dict[bytes, _Connection] = {}

    @property
    def left(self) -> int:
        """Number of their sockets that the kernel still knew at the last dump."""
        return len(self._connections)

    def run(self, over: threading.Event) -> None:
        """Note what happens until it is over."""
        due = note_at = time.monotonic()
        while not over.is_set():
            now = time.monotonic()
            if now >= due:
                self._dump(notes=now >= note_at)
                note_at = now + _INTERVAL if now >= note_at else note_at
                due = now + self._interval
            if select.select([self._ends], [], [], max(0.0, due - time.monotonic()))[0]:
                self._hear()

    def _dump(self, *, notes: bool) -> None:
        found = self._census.poll([self._port], whole=True).samples
        queued = orphans = outq = 0
        seen = set()
        for raw in found:
            connection = self._connections.get(raw.key) or self._meet(raw.key, raw.sample)
            if connection is None:
                continue
            seen.add(raw.key)
            if raw.state not in ALIVE_STATES:
                self._end(connection, raw.t, raw.state)
            queued += bool(raw.outq)
            orphans += not raw.inode
            outq += raw.outq
        for key in self._connections.keys() - seen:
            # Not every end is announced. A socket in TIME_WAIT just disappears.
            self._end(self._connections.pop(key), time.monotonic(), "gone")
        if notes:
            is_open = sum(connection.is_open for connection in self._connections.values())
            closing = len(self._connections) - is_open
            self._journal.note(
                "sockets", "sample", open=is_open, closing=closing, queued=queued, orphans=orphans, outq=outq
            )

    def _meet(self, key: bytes, sample: SocketSample) -> _Connection | None:
        """Begin to follow a socket; returns None if it is none of the crowd's."""
        if key in self._others or sample.local.port != self._port:
            return None
        if sample.remote.ip != self._source:
            return None
        self._connections[key] = _Connection(sample.remote.port, sample.t)
        return self._connections[key]

    def _hear(self) -> None:
        """Read the kernel's announcements."""
        for sample, is_destroyed in self._ends.read():
            key = identity(sample)[1:]
            connection = self._connections.get(key) or self._meet(key, sample)
            if connection is None:
                continue
            self._end(connection, sample.t, sample.state)
            if is_destroyed:
                del self._connections[key]

    def _end(self, connection: _Connection, moment: float, state: str) -> None:
        """Note the end of the server's side, once."""
        if connection.is_open:
            connection.is_open = False
            lasted = round(moment - connection.since, 6)
            self._journal.note("sockets", "ended", moment, port=connection.port, state=state, lasted=lasted)


@contextlib.contextmanager
def watching_sockets(server: LabServer, source: str, journal: Journal) -> Iterator[CrowdSockets]:
    """Watch the server's sockets of clients at ``source`` in a thread until the context is left."""
    with server.site.host.entered():
        census = Census()
    with (
        contextlib.closing(census),
        contextlib.closing(server.site.host.end_listener()) as ends,
    ):
        sockets = CrowdSockets(server, source, journal, census, ends)
        with background(sockets.run, "crowd-sockets"):
            yield sockets
