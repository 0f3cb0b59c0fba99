"""TCP_USER_TIMEOUT of one grace (tcp(7), RFC 5482): the kernel ends a connection with older unacknowledged bytes.

Since Linux 5.11 a closed window counts too. If nothing is queued, nothing is noticed.
"""

from __future__ import annotations

import socket

from halfopen.pod.detectors._seam import Settings, SocketOptions
from halfopen.pod.forecast import Forecast, ObservedSession

SUMMARY = "TCP_USER_TIMEOUT: the kernel has bytes that were not acknowledged for the grace"


def create(settings: Settings) -> SocketOptions:
    """Return the detector with its settings."""
    milliseconds = max(1, round(settings.grace * 1000))
    return SocketOptions(lambda sock: sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds))


def forecast(session: ObservedSession, grace: float, _poll: float) -> Forecast:
    """Return when the kernel would end a session with this option."""
    if not session.sample.outq:
        return Forecast("nothing is queued")
    return Forecast("the kernel gives up", grace - session.stuck, session.is_bound)
