"""End connections whose peer no longer acknowledges anything, from outside the threads that serve them.

A blocking server's threads cannot notice a dead client themselves. The sending thread is inside ``sendall`` with the
connection's lock held, and all others, the keepalive included, wait for that lock. The kernel knows, and any thread can
ask it. To use it in a server of your own::

    def handler(connection):
        with Watchdog(connection.socket, on_dead=lambda death: stop(connection, death)):
            ...  # serve the client as ever

where ``stop`` makes the serving loop leave. Then the watchdog shuts the socket down, which wakes threads blocked in
``send`` or ``recv`` on it.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol, Self

from halfopen.liveness.death import Death, Reap, Reason, end, end_dead
from halfopen.netns import tcp_info

__all__ = ["Death", "Probe", "StallRule", "Watchdog", "WatchdogRule", "end", "grace_from_environment", "probe"]

with contextlib.suppress(ImportError):  # off Linux, where no code that needs it runs
    import fcntl

_LOG = logging.getLogger("halfopen.watchdog")

GRACE_VARIABLE = "DEMON_DEAD_CLIENT_STALL_S"
DEFAULT_GRACE = 30.0
#: Lowest grace accepted from the environment, seconds; an argument may be lower.
LEAST_GRACE = 5.0
DEFAULT_POLL = 2.0

# TIOCOUTQ, called SIOCOUTQ for sockets (tcp(7)).
_SIOCOUTQ = 0x5411


class Probe(NamedTuple):
    """The kernel's data on a connection."""

    state: str
    outq: int
    bytes_acked: int | None
    """None if the kernel's tcp_info is too old to have it (before Linux 4.1)."""


def grace_from_environment(environment: Mapping[str, str] = os.environ) -> float:
    """Return ``DEMON_DEAD_CLIENT_STALL_S``, a grace in seconds, but at least 5; 30 if it is missing or invalid."""
    text = environment.get(GRACE_VARIABLE)
    if text is None:
        return DEFAULT_GRACE
    try:
        grace = float(text)
    except ValueError:
        grace = math.nan
    if not math.isfinite(grace):
        _LOG.warning("%s is %r, not a number of seconds; using %g", GRACE_VARIABLE, text, DEFAULT_GRACE)
        return DEFAULT_GRACE
    return max(grace, LEAST_GRACE)


def probe(sock: socket.socket) -> Probe:
    """Query the kernel once (TCP_INFO and SIOCOUTQ, tcp(7)); raises OSError if the socket is gone."""
    raw = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, tcp_info.MAX_SIZE)
    info = tcp_info.parse(raw)
    try:
        answer = fcntl.ioctl(sock.fileno(), _SIOCOUTQ, bytes(4))
    except ValueError as error:  # closed between the two calls: fileno() is -1
        raise OSError(str(error)) from error
    return Probe(info.state_name, struct.unpack("i", answer)[0], info.bytes_acked)


class WatchdogRule(Protocol):
    """The rule of a watchdog. Created at the start of a session with the time, seconds of the monotonic clock."""

    @property
    def reason(self) -> Reason:
        """Reason of the deaths that it reports."""
        ...

    def stalled_for(self, seen: Probe, now: float) -> float:
        """Return the seconds without a sign of life as of ``now``."""
        ...


class StallRule:
    """The merged rule of the incident: bytes queued, none acknowledged, the queue not shrinking. Pure.

    Both conditions are needed: a slow but live client's queue can stay at one level while data flows.
    """

    reason: Reason = "send_stall"

    def __init__(self, now: float) -> None:
        self._since = now
        self._outq = 0
        self._bytes_acked: int | None = None

    def stalled_for(self, seen: Probe, now: float) -> float:
        """Return the seconds without progress as of ``now``; every kind of progress resets the count."""
        advanced = seen.bytes_acked is not None and seen.bytes_acked != self._bytes_acked
        if not seen.outq or seen.outq < self._outq or advanced:
            self._since = now
        self._outq, self._bytes_acked = seen.outq, seen.bytes_acked
        return now - self._since


class Watchdog:
    """Watches one connection from a daemon thread of its own, until stopped or until it has ended the connection.

    ``grace`` and ``poll`` are in seconds. Without a grace it comes from the environment. ``on_dead`` is called once, in
    the watchdog's thread, before the socket is shut down. The watchdog raises nothing into the server: its own
    failures, and those of ``on_dead``, are logged.
    """

    def __init__(
        self,
        sock: socket.socket,
        on_dead: Callable[[Death], object],
        *,
        grace: float | None = None,
        poll: float = DEFAULT_POLL,
        reap: Reap = "shutdown",
        rule: Callable[[float], WatchdogRule] = StallRule,
        name: str = "watchdog",
    ) -> None:
        self._sock = sock
        self._reap: Reap = reap
        self._rule = rule
        self._on_dead = on_dead
        self._grace = grace_from_environment() if grace is None else grace
        self._poll = poll
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start watching. Off Linux, log that this is impossible, and do nothing."""
        if sys.platform != "linux":
            _LOG.warning("no watchdog on %s: SIOCOUTQ and TCP_INFO are Linux's; dead clients stay", sys.platform)
            return
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; returns once the watchdog will not touch the socket any more."""
        self._stopped.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        try:
            death = self._watch()
        except Exception:  # noqa: BLE001 (it never raises into the server)
            _LOG.exception("the watchdog failed; this connection is no longer watched")
            return
        if death is not None:
            end_dead(self._sock, self._reap, self._on_dead, death)

    def _watch(self) -> Death | None:
        judge = Judge(self._sock, self._rule(time.monotonic()), self._grace, self._poll)
        while not self._stopped.wait(judge.wait):
            if (death := judge.look()) is not None:
                return death
        return None


class Judge:
    """The polls of one connection by a watchdog, without its thread. ``grace`` and ``poll`` are in seconds."""

    def __init__(self, sock: socket.socket, rule: WatchdogRule, grace: float, poll: float) -> None:
        self._sock, self._rule, self._grace, self._poll = sock, rule, grace, poll
        self.wait = poll
        """Seconds until the next poll."""

    def look(self) -> Death | None:
        """Poll once; returns the death if the client is dead."""
        now = time.monotonic()
        try:
            seen = probe(self._sock)
        except OSError as error:
            _LOG.debug("probe failed: %s", error)
            return Death("socket_error", 0, 0.0, "UNKNOWN")
        stall = self._rule.stalled_for(seen, now)
        if seen.state != "ESTABLISHED":
            return Death("peer_closed", seen.outq, stall, seen.state)
        if stall >= self._grace:
            return Death(self._rule.reason, seen.outq, stall, seen.state)
        # If the grace ends before the next poll, poll at its end.
        self.wait = min(self._poll, self._grace - stall)
        return None
