"""The interface between the pod and its detectors."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from halfopen.pod.detector_hold import Hold
from halfopen.pod.liveness.rule import DEFAULT_MIN_RATE
from halfopen.pod.watchdog import Death, Reap


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


class Guarded(Protocol):
    """A session, as a detector sees it."""

    @property
    def id(self) -> str:
        """Its name, for threads and logs."""
        ...

    @property
    def sock(self) -> socket.socket:
        """The connection's socket."""
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
        """Return keyword arguments for ``websockets.sync.server.serve``, which override the pod's own."""
        return {}

    def guard(self, _session: Guarded) -> AbstractContextManager[object]:
        """Watch one session while the context is entered."""
        return contextlib.nullcontext()
