"""TCP_USER_TIMEOUT of one grace (tcp(7), RFC 5482): the kernel gives up what stays unacknowledged for so long.

Since Linux 5.11 a closed window counts too. Nothing queued, nothing noticed.
"""

from __future__ import annotations

import socket

from halfopen.pod.detectors._seam import Settings
from halfopen.pod.detectors._socket_options import SocketOptions


def create(settings: Settings) -> SocketOptions:
    """The detector with its settings."""
    milliseconds = max(1, round(settings.grace * 1000))
    return SocketOptions(lambda sock: sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds))
