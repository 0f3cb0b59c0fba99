"""SO_SNDTIMEO of a third of the grace (socket(7)): a send that blocks for longer fails.

Every send that transfers anything gets the full time again, and ``sendall`` sends until all is sent. It works on
blocking sockets only: on a socket with a Python timeout the kernel's is ignored.
"""

from __future__ import annotations

import socket
import struct

from halfopen.pod.detectors._seam import Settings, SocketOptions

NOT_ON_ASYNCIO = "SO_SNDTIMEO limits sends that block, and no send of an event loop does"
SUMMARY = "SO_SNDTIMEO: a send blocks for a third of the grace"


def create(settings: Settings) -> SocketOptions:
    """Return the detector with its settings."""
    seconds, microseconds = divmod(max(1, round(settings.grace / 3 * 1e6)), 1_000_000)
    timeval = struct.pack("ll", seconds, microseconds)
    return SocketOptions(lambda sock: sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval))
