"""Sessions, their registry, and the seats they take: what both APIs share, and those with threads."""

from __future__ import annotations

import itertools
import json
import math
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection

from halfopen.liveness import ask
from halfopen.liveness.death import end
from halfopen.pod.log import log
from halfopen.pod.stream import FlowControl, Stream
from halfopen.pod.watchdog import Death

#: Shortest time between two log lines about drops, seconds.
_DROP_LOG_INTERVAL = 1.0
PREEMPTED = 4001
"""Close code: another client took the seat. From the range that RFC 6455 (section 7.4.2) leaves to applications."""
#: Seconds for the closing handshake of a preempted session. Its runner may be stuck in a send, so then its socket is
#: ended.
GIVE_WAY_WITHIN = 2.0
#: Seconds for its runner to leave after that.
LEAVE_WITHIN = 10.0

#: Up to version 16 of the library, its reader does not learn the reason if the runner's call failed.
_LOST = "connection_lost"


class StreamedSession:
    """One client's seat at the stream: the part that does not depend on the API of the library."""

    def __init__(self, session_id: str, client_id: str, connection: Any, stream: Stream, limit: float) -> None:
        """``limit``: seconds after which the server closes it."""
        self.id = session_id
        self.client_id = client_id
        self.connection = connection
        self.stream = stream
        self.flow = FlowControl()
        self._started = time.monotonic()
        self.ends_at = self._started + limit
        self._drops_logged_at = self._started
        self._drops_logged: dict[str, int] = {}
        self._why: str | None = None
        self.farewell: tuple[int, str] | None = None

    @property
    def acknowledged(self) -> int | None:
        """Bytes acknowledged by the client's application; None before the first acknowledgement."""
        return self.flow.acknowledged

    @property
    def sent(self) -> int:
        """Bytes of slices passed to the connection."""
        return self.flow.sent

    def wake(self) -> None:
        """Make the runner leave; may be called from any thread."""
        raise NotImplementedError

    def discard(self) -> None:
        """End the socket, which wakes whatever waits for it; the kernel discards queued bytes."""
        raise NotImplementedError

    def declare_dead(self, death: Death) -> None:
        """Make the runner leave because the client is dead."""
        self.stop(death.reason)
        log("dead_client_reaped", session=self.id, client=self.client_id, **death._asdict())

    def preempt(self) -> None:
        """Make the runner close the session because another client takes its seat."""
        self.stop("preempted", (PREEMPTED, "preempted"))

    def stop(self, why: str, farewell: tuple[int, str] | None = None) -> None:
        """Make the runner leave. The first specific reason is reported and acted on."""
        if self._why in (None, _LOST):
            self._why, self.farewell = why, farewell
        self.wake()

    def stop_at_limit(self) -> None:
        """Make the runner close the session because its time is over."""
        self.stop("session_limit", (1000, "the session is over"))

    def admits(self, due: float) -> bool:
        """True if a slice that was due then is to be sent; else it is shed."""
        if self.flow.shed(time.monotonic() - due) is None:
            return True
        if time.monotonic() - self._drops_logged_at >= _DROP_LOG_INTERVAL:
            self.log_drops()
        return False

    def receive(self, message: str | bytes) -> None:
        """Handle a client's message."""
        try:
            fields = json.loads(message)
            if fields["type"] == "params" and isinstance(fields["slice_bytes_rx"], int):
                self.flow.acknowledge(fields["slice_bytes_rx"])
        except (ValueError, TypeError, KeyError):
            return  # an unknown message: the pod handles no others

    def log_drops(self) -> None:
        """Log the slices shed since the last line about them."""
        self._drops_logged_at = time.monotonic()
        drops = dict(self.flow.drops)
        if drops != self._drops_logged:
            self._drops_logged = drops
            log("slices_dropped", session=self.id, client=self.client_id, drops=drops)

    def log_end(self) -> None:
        """Log the end of the session, with its reason."""
        self.log_drops()
        log("session_closed", session=self.id, client=self.client_id, reason=self._why, **self._totals())

    def _totals(self) -> dict[str, Any]:
        return {"bytes": self.flow.sent, "acknowledged": self.flow.acknowledged, "drops": dict(self.flow.drops)}

    def describe(self) -> dict[str, Any]:
        """Return its entry in ``GET /sessions``; times in seconds of the monotonic clock."""
        return {"id": self.id, "client": self.client_id, "started": self._started, **self._totals()}


class PodSession(StreamedSession):
    """A session with two threads: a runner that sends, a reader that receives acknowledgements."""

    def __init__(
        self, session_id: str, client_id: str, connection: ServerConnection, stream: Stream, limit: float
    ) -> None:
        """``limit``: seconds after which the server closes it."""
        super().__init__(session_id, client_id, connection, stream, limit)
        self.sock: socket.socket = connection.socket
        self._stopped = threading.Event()

    def ask(self) -> bool:
        """Send a ping if that cannot block; see :meth:`halfopen.pod.detectors._seam.Guarded.ask`."""
        return ask(self.connection)

    def wake(self) -> None:
        """Make the runner leave; may be called from any thread."""
        self._stopped.set()

    def discard(self) -> None:
        """End the socket, which wakes threads blocked in send or recv on it."""
        end(self.sock, "reset")

    def run(self) -> None:
        """Stream until the client or a detector ends it."""
        reader = threading.Thread(target=self._read, name=f"reader-{self.id}", daemon=True)
        reader.start()
        try:
            self._send_slices()
            if self.farewell is not None:
                self.connection.close(*self.farewell)
        except ConnectionClosed as closed:
            self.stop(why(closed))
        finally:
            self.log_end()

    def _send_slices(self) -> None:
        for due, payload in self.stream.slices(time.monotonic()):
            if not self._wait_until(due):
                return
            if self.admits(due):
                self.connection.send(payload)
                self.flow.sent += len(payload)
        # Nothing more is sent, and the session goes on.
        self._wait_until(math.inf)

    def _wait_until(self, due: float) -> bool:
        """Wait until a slice is due; False if the session ends before."""
        moment = min(due, self.ends_at)
        if self._stopped.wait(None if math.isinf(moment) else max(0.0, moment - time.monotonic())):
            return False
        if due < self.ends_at:
            return True
        self.stop_at_limit()
        return False

    def _read(self) -> None:
        try:
            for message in self.connection:
                self.receive(message)
        except ConnectionClosed as closed:
            self.stop(why(closed))
        else:  # iteration ends without an error after a closing handshake
            self.stop("client_closed")


def why(closed: ConnectionClosed) -> str:
    """Return the reason of the end: the client, the library's keepalive, or a failed call on the socket."""
    if closed.rcvd is not None:
        return "client_closed"
    if closed.sent is not None and "ping timeout" in closed.sent.reason:
        return "ping_timeout"
    match closed.__cause__:
        case BlockingIOError():  # SO_SNDTIMEO
            return "timed_out"
        # The first thread to call gets the kernel's reason, the others EPIPE, so no more is known.
        case OSError(errno=int()):
            return "socket_error"
    return _LOST


class Seats:
    """The current sessions, and the seats left for more."""

    def __init__(self, seats: int) -> None:
        self._seats = seats
        self._sessions: dict[str, StreamedSession] = {}
        self._numbers = itertools.count(1)

    def next_id(self) -> str:
        """Return an id that no other session has."""
        return f"s{next(self._numbers)}"

    def has_room(self) -> bool:
        """True if a seat is free."""
        return len(self._sessions) < self._seats

    def preempt_for(self, newcomer: StreamedSession) -> StreamedSession | None:
        """Make a session give way, and return it; None if the newcomer needs no other to leave.

        It is the client's own older session. Without one it is the oldest of all, if no seat is free.
        """
        own = (session for session in self._sessions.values() if session.client_id == newcomer.client_id)
        ousted = next(own, None)
        if ousted is None and not self.has_room():
            ousted = next(iter(self._sessions.values()))
        if ousted is not None:
            ousted.preempt()
        return ousted

    def has_left(self, session: StreamedSession) -> bool:
        """True if a session has left and a seat is free."""
        return session.id not in self._sessions and self.has_room()

    def take(self, session: StreamedSession) -> bool:
        """List the session and take a seat for it; returns False, and lists nothing, if none is free."""
        if not self.has_room():
            return False
        self._sessions[session.id] = session
        return True

    def leave(self, session: StreamedSession) -> None:
        """Free the session's seat."""
        del self._sessions[session.id]

    def describe(self) -> list[dict[str, Any]]:
        """Return all sessions, oldest first."""
        return [session.describe() for session in list(self._sessions.values())]


class Registry(Seats):
    """Seats for sessions with threads."""

    def __init__(self, seats: int) -> None:
        super().__init__(seats)
        self._lock = threading.Lock()
        self._freed = threading.Condition(self._lock)

    @contextmanager
    def seat(self, session: PodSession, *, preempt: bool = False) -> Iterator[bool]:
        """List the session and hold a seat for it; yields False, and lists nothing, if none is free.

        With ``preempt`` another session must give way (``preempt_for``), and this waits for it.
        """
        with self._lock:
            if preempt and (ousted := self.preempt_for(session)) is not None:
                self._wait_for(ousted)
            seated = self.take(session)
        try:
            yield seated
        finally:
            if seated:
                with self._lock:
                    self.leave(session)
                    self._freed.notify_all()

    def _wait_for(self, ousted: StreamedSession) -> None:
        """Wait until a session has left. The lock is held, but not while this waits."""
        if not self._freed.wait_for(lambda: self.has_left(ousted), GIVE_WAY_WITHIN):
            ousted.discard()
            self._freed.wait_for(lambda: self.has_left(ousted), LEAVE_WITHIN)

    def describe(self) -> list[dict[str, Any]]:
        """Return all sessions, oldest first."""
        with self._lock:
            return super().describe()
