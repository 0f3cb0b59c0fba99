"""Reaps every session at its first poll."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from halfopen.pod.detectors._seam import Guarded, Settings
from halfopen.pod.watchdog import Death


class ReapAlways:
    def __init__(self, poll: float) -> None:
        self._poll = poll

    def serve_options(self) -> Mapping[str, Any]:
        return {}

    @contextlib.contextmanager
    def guard(self, session: Guarded) -> Iterator[None]:
        def reap() -> None:
            session.declare_dead(Death("send_stall", 0, 0.0, "ESTABLISHED"))
            with contextlib.suppress(OSError):
                session.sock.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(self._poll, reap)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def create(settings: Settings) -> ReapAlways:
    return ReapAlways(settings.poll)
