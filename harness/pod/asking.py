"""A WebSocket ping that never blocks whoever sends it."""

from __future__ import annotations

import fcntl
import struct
from typing import Any

from websockets.protocol import State

# TIOCOUTQ, which sockets call SIOCOUTQ (tcp(7)).
_SIOCOUTQ = 0x5411
#: The payload of the ping. The library lets pongs to pings that it does not know pass.
_PAYLOAD = b"alive?"


def ask(connection: Any) -> bool:
    """Send a ping over a connection of ``websockets.sync``; False if that cannot be done at once.

    The library's own ``ping()`` would wait for the lock of whoever is sending, for ever if that one is wedged.
    With the lock held nobody else sends; with nothing queued in the kernel a few bytes always find room, so that
    neither call here can block. Tried with versions 13 to 17.
    """
    mutex = connection.protocol_mutex
    if not mutex.acquire(blocking=False):
        return False
    try:
        if connection.protocol.state is not State.OPEN or _queued(connection.socket):
            return False
        connection.protocol.send_ping(_PAYLOAD)
        connection.send_data()
    except (OSError, ValueError):  # the connection has just ended, which others will notice
        return False
    finally:
        mutex.release()
    return True


def _queued(sock: Any) -> int:
    """Bytes sent and not yet acknowledged; raises OSError or ValueError if the socket is closed."""
    answer = fcntl.ioctl(sock.fileno(), _SIOCOUTQ, bytes(4))
    queued: int = struct.unpack("i", answer)[0]
    return queued
