"""Ours: the path, the window or a ping went unanswered; checked by one thread for all sessions.

See :mod:`halfopen.pod.liveness`, which any sync server can use, and docs/detectors.md.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from halfopen.pod.detector_hold import HeldLooks
from halfopen.pod.detectors import _keepalive
from halfopen.pod.detectors._seam import Guarded, Settings
from halfopen.pod.liveness import Watch, Watcher


class Halfopen:
    """One :class:`~halfopen.pod.liveness.Watcher` for all sessions."""

    def __init__(self, settings: Settings) -> None:
        self._watcher = Watcher(
            settings.grace,
            settings.poll,
            min_rate=settings.min_rate,
            outage=settings.outage,
            reap=settings.reap or "reset",
        )
        self._hold = settings.hold
        if self._hold is not None:
            self._hold.take()

    def serve_options(self) -> Mapping[str, Any]:
        """Return options that turn the library's keepalive off.

        A slow reader's pong waits behind all that it has yet to read, for longer than its timeout. Without a timeout,
        once a pong took longer than an interval, websockets 17 sends pings without pause.
        """
        return {"ping_interval": None} if _keepalive.there_is_one() else {}

    def guard(self, session: Guarded) -> Watch:
        """Watch the session's socket."""
        watch = self._watcher.watch(session.sock, session.declare_dead, ask=session.ask)
        if self._hold is not None:
            watch.rule = HeldLooks(self._watcher.terms, time.monotonic(), self._hold, session.id)
        return watch


def create(settings: Settings) -> Halfopen:
    """Return the detector with its settings."""
    return Halfopen(settings)
