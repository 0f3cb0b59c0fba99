"""Poll every connection from one thread, and end those whose client is dead."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
import math
import select
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from halfopen.pod.liveness.reading import read
from halfopen.pod.liveness.rule import DEFAULT_MIN_RATE, Rule, Terms
from halfopen.pod.watchdog import Death, Reap, end_dead

_LOG = logging.getLogger("halfopen.liveness")

#: Number of turns that a poll is divided into, so that ten thousand connections are not all polled at once.
_TURNS = 20

# Linux 6.15, include/uapi/linux/tcp.h; in milliseconds, from 1 s to 120 s.
_TCP_RTO_MAX_MS = 44
_LEAST_RTO = 1.0
_MOST_RTO = 120.0
_FIRST_RTO = 0.2
_RETRIES = Path("/proc/sys/net/ipv4/tcp_retries2")

#: Payload of a ping. The library ignores pongs to pings that it does not know.
_PAYLOAD = b"alive?"


class Watch:
    """One watched connection; a context manager around its session."""

    __slots__ = ("_lock", "_watcher", "ask", "on_dead", "over", "rule", "sock", "turn", "urgent_at")

    def __init__(
        self, watcher: Watcher, sock: socket.socket, on_dead: Callable[[Death], object], ask: Callable[[], bool]
    ) -> None:
        self._watcher, self.sock, self.on_dead, self.ask = watcher, sock, on_dead, ask
        # Held by the watcher while it may touch the socket. A callback of ours that stops the watch acquires it again.
        self._lock = threading.RLock()
        self.over = False
        self.rule = Rule(watcher.terms, time.monotonic())
        self.turn = 0
        self.urgent_at = math.inf
        """Time of an extra poll between two regular ones, seconds of the monotonic clock."""

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
                death = self.rule.look(read(self.sock), time.monotonic())
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

    ``grace``, ``poll`` and ``outage`` are in seconds, ``min_rate`` in bytes per second (see :class:`Terms`). ``reap``
    is the method of ending a dead client's connection. With ``bound_rto`` connections retransmit at least four times in
    an outage, if the kernel supports that (TCP_RTO_MAX_MS, Linux 6.15).
    """

    def __init__(
        self,
        grace: float,
        poll: float = 2.0,
        *,
        min_rate: float = DEFAULT_MIN_RATE,
        outage: float | None = None,
        reap: Reap = "reset",
        bound_rto: bool = True,
    ) -> None:
        self.terms = Terms(grace, poll, min_rate, outage)
        self.reap: Reap = reap
        self._rto = bounded_rto(self.terms.longest_outage) if bound_rto else None
        self._step = poll / _TURNS
        self._turns: list[dict[Watch, None]] = [{} for _ in range(_TURNS)]
        self._urgent: list[tuple[float, int, Watch]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def watch(
        self, sock: socket.socket, on_dead: Callable[[Death], object], *, ask: Callable[[], bool] | None = None
    ) -> Watch:
        """Return a context manager for the session of a connection.

        ``on_dead`` is called once, in the watcher's thread, before the connection is ended. ``ask`` sends the client a
        message that it must answer, and returns False if it could not. Neither may block: all other connections wait
        for it.
        """
        return Watch(self, sock, on_dead, ask or (lambda: False))

    def add(self, watch: Watch) -> None:
        """Start watching. Off Linux, log that this is impossible, and do nothing."""
        if sys.platform != "linux":
            _LOG.warning("no watcher on %s: TCP_INFO is Linux's; dead clients stay", sys.platform)
            return
        if self._rto is not None:
            with contextlib.suppress(OSError):  # an older kernel, or no TCP socket: the first poll will fail
                watch.sock.setsockopt(socket.IPPROTO_TCP, _TCP_RTO_MAX_MS, round(self._rto * 1000))
        with self._changed:
            watch.turn = min(range(_TURNS), key=lambda turn: len(self._turns[turn]))
            self._turns[watch.turn][watch] = None
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)
                self._thread.start()
            self._changed.notify()

    def remove(self, watch: Watch) -> None:
        """Stop watching; may be called again."""
        with self._changed:
            self._turns[watch.turn].pop(watch, None)
            self._changed.notify()

    def _run(self) -> None:
        turn, due = 0, time.monotonic()
        while True:
            with self._changed:
                if not any(self._turns):
                    # The next connection starts another thread. One that stays would also receive signals that all
                    # others block.
                    self._thread = None
                    self._urgent.clear()
                    return
                turn, due = self._await(turn, due)
            now = time.monotonic()
            while self._urgent and self._urgent[0][0] <= now:
                at, _, watch = heapq.heappop(self._urgent)
                if at == watch.urgent_at:  # else an earlier poll has made it needless
                    watch.urgent_at = math.inf
                    self._look(watch)
            if now >= due:
                for watch in list(self._turns[turn]):
                    self._look(watch)
                turn, due = (turn + 1) % _TURNS, due + self._step

    def _await(self, turn: int, due: float) -> tuple[int, float]:
        """Wait, with the condition held, until a poll is due; returns the next turn and its time."""
        while any(self._turns):
            now = time.monotonic()
            if due < now - self._step * _TURNS:  # there were no connections, or the whole server stood still
                due = now
            while due <= now and not self._turns[turn]:
                turn, due = (turn + 1) % _TURNS, due + self._step
            empty = next(ahead for ahead in range(_TURNS) if self._turns[(turn + ahead) % _TURNS])
            until = due + empty * self._step
            if self._urgent:
                until = min(until, self._urgent[0][0])
            if until <= now:
                break
            self._changed.wait(until - now)
        return turn, due

    def _look(self, watch: Watch) -> None:
        try:
            watch.look()
        except Exception:  # noqa: BLE001 (it never raises into the server, nor abandons the others)
            _LOG.exception("the watcher failed; this connection is no longer watched")
            self.remove(watch)
            return
        at = watch.rule.due
        if at < watch.urgent_at and at < time.monotonic() + self.terms.poll and not watch.over:
            watch.urgent_at = at
            heapq.heappush(self._urgent, (at, next(self._numbers), watch))


def bounded_rto(outage: float) -> float | None:
    """Return the bound of the interval between retransmissions, in seconds, to fit four into an outage; None for none.

    The bound also shortens the time after which the kernel gives up. That must not become less than two outages.
    """
    bound = max(_LEAST_RTO, outage / 4)
    if bound >= _MOST_RTO:
        return None
    try:
        retries = int(_RETRIES.read_text())
    except (OSError, ValueError):
        return None
    doublings = min(retries, int(math.log2(bound / _FIRST_RTO)))
    # tcp_model_timeout, net/ipv4/tcp_timer.c
    life = (2 ** (doublings + 1) - 1) * _FIRST_RTO + (retries - doublings) * bound
    return bound if life >= 2 * outage else None


def ask(connection: Any) -> bool:
    """Send a WebSocket ping over a connection of ``websockets.sync``; False if that cannot be done at once.

    The library's own ``ping()`` would wait for the lock of the sending thread, for ever if that one is wedged. While we
    hold the lock no other thread sends. A socket that poll(2) reports as writable has a third of its buffer free
    (sk_stream_is_writeable, include/net/sock.h), enough for a few bytes. So neither call here can block. Tested with
    versions 13 to 17.
    """
    mutex = connection.protocol_mutex
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
