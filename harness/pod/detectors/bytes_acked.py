"""The merged watchdog of the incident: bytes queued, and neither the queue nor tcpi_bytes_acked moves for the grace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.pod.detectors._seam import Guarded, Settings
from harness.pod.watchdog import Watchdog


class BytesAcked:
    """A :class:`~harness.pod.watchdog.Watchdog` for every session."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def serve_options(self) -> Mapping[str, Any]:
        """The pod's own."""
        return {}

    def guard(self, session: Guarded) -> Watchdog:
        """Watch the session's socket."""
        return Watchdog(
            session.sock,
            session.declare_dead,
            grace=self._settings.grace,
            poll=self._settings.poll,
            reap=self._settings.reap or "shutdown",
            name=f"watchdog-{session.id}",
        )


def create(settings: Settings) -> BytesAcked:
    """The detector with its settings."""
    return BytesAcked(settings)
