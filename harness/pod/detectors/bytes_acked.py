"""The merged watchdog of the incident: bytes queued, and neither the queue nor tcpi_bytes_acked moves for the grace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.pod.detectors._seam import Guarded
from harness.pod.watchdog import Watchdog


class BytesAcked:
    """A :class:`~harness.pod.watchdog.Watchdog` for every session."""

    def __init__(self, grace: float, poll: float) -> None:
        self._grace = grace
        self._poll = poll

    def serve_options(self) -> Mapping[str, Any]:
        """The pod's own."""
        return {}

    def guard(self, session: Guarded) -> Watchdog:
        """Watch the session's socket."""
        return Watchdog(
            session.sock,
            session.declare_dead,
            grace=self._grace,
            poll=self._poll,
            name=f"watchdog-{session.id}",
        )


def create(grace: float, poll: float) -> BytesAcked:
    """The detector with its settings, in seconds."""
    return BytesAcked(grace, poll)
