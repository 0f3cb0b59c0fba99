"""A WebSocket ping that never blocks whoever sends it."""

from __future__ import annotations

import select
from typing import Any

#: The payload of the ping. The library lets pongs to pings that it does not know pass.
_PAYLOAD = b"alive?"


def ask(connection: Any) -> bool:
    """Send a ping over a connection of ``websockets.sync``; False if that cannot be done at once.

    The library's own ``ping()`` would wait for the lock of whoever is sending, for ever if that one is wedged.
    With the lock held nobody else sends; and a socket that poll(2) calls writable has a third of its buffer
    free (sk_stream_is_writeable, include/net/sock.h), so that a few bytes find room. Neither call here can
    block. Tried with versions 13 to 17.
    """
    mutex = connection.protocol_mutex
    if not mutex.acquire(blocking=False):
        return False
    try:
        if connection.protocol.state.name != "OPEN" or not _writable(connection.socket):
            return False
        connection.protocol.send_ping(_PAYLOAD)
        connection.send_data()
    except (OSError, ValueError):  # the connection has just ended, which others will notice
        return False
    finally:
        mutex.release()
    return True


def _writable(sock: Any) -> bool:
    """Whether the kernel has room; raises OSError or ValueError if the socket is closed."""
    poller = select.poll()
    poller.register(sock.fileno(), select.POLLOUT)
    return bool(poller.poll(0))
