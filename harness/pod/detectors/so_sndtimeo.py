"""SO_SNDTIMEO of a third of the grace (socket(7)): a blocked send fails once it has waited for so long.

Every send that moves anything has all of that time again, and ``sendall`` sends until all is sent. It is
for blocking sockets: on one with a timeout of Python's own the kernel's is ignored.
"""

from __future__ import annotations

import socket
import struct

from halfopen.pod.detectors._seam import Settings
from halfopen.pod.detectors._socket_options import SocketOptions


def create(settings: Settings) -> SocketOptions:
    """The detector with its settings."""
    seconds, microseconds = divmod(max(1, round(settings.grace / 3 * 1e6)), 1_000_000)
    timeval = struct.pack("ll", seconds, microseconds)
    return SocketOptions(lambda sock: sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval))
