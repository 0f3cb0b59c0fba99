"""The interface between the pod and its detectors, and the two kinds that most of them are of."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from halfopen.liveness.death import Death, Reap, discard_when_closed, report
from halfopen.liveness.rule import DEFAULT_MIN_RATE
from halfopen.model.pod_api import PodApi
from halfopen.pod.detector_hold import HeldStall, Hold
from halfopen.pod.watchdog import Judge, Watchdog, WatchdogRule


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a detector; each uses those that apply to it."""

    grace: float
    """Seconds of silence after which a client is dead."""
    poll: float
    """Seconds between two polls."""
    reap: Reap | None = None
    """Method of ending a dead client's connection; None: the detector's default."""
    min_rate: float = DEFAULT_MIN_RATE
    """Lowest rate at which a live client reads, bytes per second."""
    outage: float | None = None
    """Longest outage of the path that is always survived, seconds; None: the detector's default."""
    hold: Hold | None = None
    """Holds its verdicts back, if the detector supports that."""
    api: PodApi = "sync"
    """API of the library that the pod uses. A detector with a thread has a task or a timer on asyncio."""
    common_outage: float | None = None
    """Longest outage that is survived if most sessions went dark at once, seconds; None: the detector's default."""


class Guarded(Protocol):
    """A session, as a detector sees it."""

    @property
    def id(self) -> str:
        """Its name, for threads and logs."""
        ...

    @property
    def sock(self) -> socket.socket:
        """The connection's socket; on asyncio its TransportSocket, which can read and set options."""
        ...

    @property
    def connection(self) -> Any:
        """The library's connection, which has a transport on asyncio."""
        ...

    @property
    def acknowledged(self) -> int | None:
        """Bytes acknowledged by the client's application; None before the first acknowledgement."""
        ...

    @property
    def sent(self) -> int:
        """Bytes of application data passed to the connection."""
        ...

    def ask(self) -> bool:
        """Send the client a WebSocket ping (RFC 6455, section 5.5.2); False if that is impossible now.

        It never blocks.
        """
        ...

    def declare_dead(self, death: Death) -> None:
        """Record the death and make the runner leave; the detector then ends the socket."""
        ...


class Detector:
    """One way to find dead clients. This one finds none."""

    def serve_options(self) -> Mapping[str, Any]:
        """Return keyword arguments for the library's ``serve``, which override the pod's own."""
        return {}

    def guard(self, _session: Guarded) -> AbstractContextManager[object]:
        """Watch one session while the context is entered."""
        return contextlib.nullcontext()


class Watchdogs(Detector):
    """A :class:`~halfopen.pod.watchdog.Watchdog` for every session, with one rule; on asyncio a task."""

    def __init__(self, settings: Settings, make_rule: Callable[[Guarded, float], WatchdogRule]) -> None:
        """``make_rule`` creates a session's rule at its start, seconds of the monotonic clock."""
        self._settings = settings
        self._make_rule = make_rule
        if settings.hold is not None:
            settings.hold.is_respected = True

    def guard(self, session: Guarded) -> AbstractContextManager[object]:
        """Watch the session's socket."""
        if self._settings.api == "asyncio":
            return self._watched_by_a_task(session)
        return Watchdog(
            session.sock,
            session.declare_dead,
            grace=self._settings.grace,
            poll=self._settings.poll,
            reap=self._settings.reap or "shutdown",
            rule=lambda now: self._rule(session, now),
            name=f"watchdog-{session.id}",
        )

    @contextlib.contextmanager
    def _watched_by_a_task(self, session: Guarded) -> Iterator[None]:
        import asyncio  # noqa: PLC0415 (hundreds of pods with threads start, and do without)

        watching = asyncio.get_running_loop().create_task(
            self._watch(session, asyncio.sleep), name=f"watchdog-{session.id}"
        )
        try:
            yield
        finally:
            watching.cancel()

    async def _watch(self, session: Guarded, sleep: Callable[[float], Awaitable[object]]) -> None:
        rule = self._rule(session, time.monotonic())
        judge = Judge(session.sock, rule, self._settings.grace, self._settings.poll)
        death = None
        while death is None:
            await sleep(judge.wait)
            death = judge.look()
        report(session.declare_dead, death)
        if self._settings.reap == "reset":
            with contextlib.suppress(OSError):
                discard_when_closed(session.sock)
        session.connection.transport.abort()

    def _rule(self, session: Guarded, now: float) -> WatchdogRule:
        rule, hold = self._make_rule(session, now), self._settings.hold
        return rule if hold is None else HeldStall(rule, self._settings.grace, hold, session.id)


class SocketOptions(Detector):
    """Options on every session's socket, for detectors that rely on the kernel.

    It ends the connection, the library's next call on it fails, and the runner leaves.
    """

    def __init__(self, apply: Callable[[socket.socket], object]) -> None:
        self._apply = apply

    def guard(self, session: Guarded) -> AbstractContextManager[object]:
        """Set the options; raises OSError if the kernel does not support them."""
        self._apply(session.sock)
        return contextlib.nullcontext()
