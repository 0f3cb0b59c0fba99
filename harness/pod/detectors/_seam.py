"""The seam between the pod and its detectors."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from halfopen.pod.holding import Hold
from halfopen.pod.liveness.rule import DEFAULT_MIN_RATE
from halfopen.pod.watchdog import Death, Reap


@dataclass(frozen=True, slots=True)
class Settings:
    """What a detector is told; each takes what it has a use for."""

    grace: float
    """Seconds of silence after which a client is dead."""
    poll: float
    """Seconds between two looks."""
    reap: Reap | None = None
    """How a dead client's connection is ended; None: as the detector does by itself."""
    min_rate: float = DEFAULT_MIN_RATE
    """Bytes a second that a live client reads at least."""
    outage: float | None = None
    """The longest outage of the path that is always survived, seconds; None: as the detector has it."""
    hold: Hold | None = None
    """What may hold its verdicts back, where it can be held."""


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
        """Bytes the client's application acknowledged, None before it ever did."""
        ...

    @property
    def sent(self) -> int:
        """Bytes of application data handed to the connection."""
        ...

    def ask(self) -> bool:
        """Ask the client for an answer (a WebSocket ping, RFC 6455, section 5.5.2); False if that cannot be done now.

        It never blocks.
        """
        ...

    def declare_dead(self, death: Death) -> None:
        """Note the death and make the runner leave; the detector then ends the socket."""
        ...


class Detector(Protocol):
    """One way to find dead clients."""

    def serve_options(self) -> Mapping[str, Any]:
        """Keyword arguments for ``websockets.sync.server.serve``, over the pod's own."""
        ...

    def guard(self, session: Guarded) -> AbstractContextManager[object]:
        """Look after one session for as long as the context is entered."""
        ...
