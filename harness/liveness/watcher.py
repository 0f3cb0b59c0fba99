"""Poll every connection from one thread, and end those whose client is dead."""

from __future__ import annotations

import logging
import select
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Self

from halfopen.liveness.common_outage import CommonOutage
from halfopen.liveness.death import Death, Reap, end_dead
from halfopen.liveness.reading import Fields, leaves_input_unread, read
from halfopen.liveness.retransmissions import bound_rto, bounded_rto
from halfopen.liveness.rule import DEFAULT_MIN_RATE, Darkness, Rule, Terms
from halfopen.liveness.schedule import Polled, PollSchedule

_LOG = logging.getLogger("halfopen.liveness")

#: Payload of a ping. The library ignores pongs to pings that it does not know.
_PAYLOAD = b"alive?"


class Watch(Polled):
    """One watched connection; a context manager around its session."""

    __slots__ = ("_lock", "_watcher", "ask", "on_dead", "over", "rule", "sock")

    def __init__(
        self, watcher: Watcher, sock: socket.socket, on_dead: Callable[[Death], object], ask: Callable[[], bool]
    ) -> None:
        super().__init__()
        self._watcher, self.sock, self.on_dead, self.ask = watcher, sock, on_dead, ask
        # Held by the watcher while it may touch the socket. A callback of ours that stops the watch acquires it again.
        self._lock = threading.RLock()
        self.over = False
        self.rule = Rule(watcher.terms, time.monotonic())

    def __enter__(self) -> Self:
        self._watcher.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop watching; returns once the watcher will not touch the socket any more."""
        self._watcher.remove(self)
        with self._lock:
            self.over = True

    def look(self) -> None:
        """Poll once: ping the client if needed, and end the connection if the client is dead."""
        with self._lock:
            if self.over:
                return
            try:
                death = judge(self.rule, self.sock, read(self.sock), self._watcher.common_outage)
                if death is None and self.rule.wants_answer and self.ask():
                    self.rule.asked(read(self.sock))
            except OSError as error:
                _LOG.debug("reading TCP_INFO failed: %s", error)
                death = Death("socket_error", 0, 0.0, "UNKNOWN")
            if death is not None:
                self.over = True
                self._watcher.remove(self)
                end_dead(self.sock, self._watcher.reap, self.on_dead, death)


class Watcher:
    """Watches any number of connections from one daemon thread, which lives while there are any.

    ``grace``, ``poll``, ``outage`` and ``common_outage`` are in seconds, ``min_rate`` in bytes per second (see
    :class:`Terms`). ``reap`` is the method of ending a dead client's connection. With ``bound_rto`` connections
    retransmit at least four times in an outage, if the kernel supports that (TCP_RTO_MAX_MS, Linux 6.15).
    ``common_outage.on_change`` is called in the watcher's thread when most sessions have gone dark at once.
    """

    def __init__(
        self,
        grace: float,
        poll: float = 2.0,
        *,
        min_rate: float = DEFAULT_MIN_RATE,
        outage: float | None = None,
        common_outage: float | None = None,
        reap: Reap = "reset",
        bound_rto: bool = True,
    ) -> None:
        self.terms = Terms(grace, poll, min_rate, outage, common_outage=common_outage)
        self.common_outage = CommonOutage(self.terms, self._darkness)
        self.reap: Reap = reap
        self._rto = bounded_rto(self.terms.longest_outage, self.terms.longest_common_outage) if bound_rto else None
        self._schedule: PollSchedule[Watch] = PollSchedule(poll)
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def watch(
        self, sock: socket.socket, on_dead: Callable[[Death], object], *, ask: Callable[[], bool] | None = None
    ) -> Watch:
        """Return a context manager for the session of a connection.

        ``on_dead`` is called once, in the watcher's thread, before the connection is ended. ``ask`` sends the client a
        message that it must answer, and returns False if it could not. Neither may block: all other connections wait
        for it. Raises TypeError for anything but a socket.
        """
        if (problem := _refusal(sock)) is not None:
            raise TypeError(f"sock: {problem}")
        return Watch(self, sock, on_dead, ask or (lambda: False))

    def add(self, watch: Watch) -> None:
        """Start watching. Off Linux, log that this is impossible, and do nothing."""
        if sys.platform != "linux":
            _LOG.warning("no watcher on %s: TCP_INFO is Linux's; dead clients stay", sys.platform)
            return
        if self._rto is not None:
            bound_rto(watch.sock, self._rto)
        with self._changed:
            self._schedule.add(watch)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)
                self._thread.start()
            self._changed.notify()

    def remove(self, watch: Watch) -> None:
        """Stop watching; may be called again."""
        with self._changed:
            self._schedule.remove(watch)
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while (wait := self._schedule.next_at(now := time.monotonic()) - now) > 0:
                    if not self._schedule:
                        # The next connection starts another thread. One that stays would also receive signals that
                        # all others block.
                        self._thread = None
                        self.common_outage.close(now)
                        return
                    self._changed.wait(wait)
                due = self._schedule.due(now)
            for watch in due:
                self._look(watch)
            if self.common_outage.in_progress:
                self.common_outage.review(time.monotonic())

    def _darkness(self) -> list[Darkness | None]:
        with self._changed:
            return [watch.rule.darkness for watch in self._schedule]

    def _look(self, watch: Watch) -> None:
        try:
            watch.look()
        except Exception:  # noqa: BLE001 (it never raises into the server, nor abandons the others)
            _LOG.exception("the watcher failed; this connection is no longer watched")
            self.remove(watch)
            return
        if not watch.over:
            with self._changed:
                self._schedule.expedite(watch, watch.rule.due, time.monotonic())


def judge(rule: Rule, sock: socket.socket, seen: Fields, outage: CommonOutage) -> Death | None:
    """Return a rule's verdict on the reading of a socket; raises OSError.

    The server's own silence is no proof: while it leaves its input unread, an answer has no room. Nor is its own
    uplink's.
    """
    death = rule.look(seen, now := time.monotonic())
    if death is None or death.tcp_state != "ESTABLISHED":
        return death
    if death.reason == "no_answer" and leaves_input_unread(sock):
        rule.excuse()
        return None
    return None if death.reason == "unreachable" and outage.spares(rule.darkness, now) else death


def _refusal(sock: object) -> str | None:
    """Return the problem with anything that is no socket."""
    kind = type(sock)
    name = f"{kind.__module__}.{kind.__qualname__}"
    # A TransportSocket of asyncio, or a PseudoSocket of uvloop, can do less than a socket.
    is_of_loop = kind.__module__.partition(".")[0] in {"asyncio", "uvloop"}
    if is_of_loop or hasattr(sock, "get_extra_info") or hasattr(sock, "transport"):
        return f"Watcher cannot watch a {name} of an event loop; use AsyncWatcher of halfopen.liveness"
    if not callable(getattr(sock, "getsockopt", None)):
        return f"Watcher cannot watch a {name}; pass its TCP socket"
    return None


def ask(connection: Any) -> bool:
    """Send a WebSocket ping over a connection of ``websockets.sync``; False if that cannot be done at once.

    The library's own ``ping()`` would wait for the lock of the sending thread, for ever if that one is wedged. While we
    hold the lock no other thread sends. A socket that poll(2) reports as writable has a third of its buffer free
    (sk_stream_is_writeable, include/net/sock.h), enough for a few bytes. So neither call here can block. Tested with
    versions 13 to 17.
    """
    mutex = getattr(connection, "protocol_mutex", None)
    if mutex is None:
        raise TypeError(
            f"ask: a {type(connection).__module__}.{type(connection).__name__} is no connection of websockets.sync; "
            "use AsyncWatcher for websockets.asyncio"
        )
    if not mutex.acquire(blocking=False):
        return False
    try:
        if connection.protocol.state.name != "OPEN" or not _writable(connection.socket):
            return False
        connection.protocol.send_ping(_PAYLOAD)
        connection.send_data()
    except (OSError, ValueError):  # the connection has just ended, which other code will notice
        return False
    finally:
        mutex.release()
    return True


def _writable(sock: Any) -> bool:
    """True if the kernel has buffer space; raises OSError or ValueError if the socket is closed."""
    poller = select.poll()
    poller.register(sock.fileno(), select.POLLOUT)
    return bool(poller.poll(0))
