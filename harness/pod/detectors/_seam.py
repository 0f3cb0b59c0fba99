"""The seam between the pod and its detectors."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from harness.pod.watchdog import Death


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
