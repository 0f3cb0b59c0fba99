"""TCP_USER_TIMEOUT of one grace (tcp(7), RFC 5482): the kernel ends a connection with older unacknowledged bytes.

Since Linux 5.11 a closed window counts too. If nothing is queued, nothing is noticed.
"""

from __future__ import annotations

import socket

from halfopen.pod.detectors._seam import Settings
from halfopen.pod.detectors._socket_options import SocketOptions


def create(settings: Settings) -> SocketOptions:
    """Return the detector with its settings."""
    milliseconds = max(1, round(settings.grace * 1000))
    return SocketOptions(lambda sock: sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds))
