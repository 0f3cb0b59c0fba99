"""A WebSocket ping that never blocks its sender."""

from __future__ import annotations

import select
from typing import Any

#: Payload of the ping. The library ignores pongs to pings that it does not know.
_PAYLOAD = b"alive?"


def ask(connection: Any) -> bool:
    """Send a ping over a connection of ``websockets.sync``; False if that cannot be done at once.

    The library's own ``ping()`` would wait for the lock of the sending thread, for ever if that one is wedged. While we
    hold the lock no other thread sends. A socket that poll(2) reports as writable has a third of its buffer free
    (sk_stream_is_writeable, include/net/sock.h), enough for a few bytes. So neither call here can block. Tested with
    versions 13 to 17.
    """
    mutex = connection.protocol_mutex
    if not mutex.acquire(blocking=False):
        return False
    try:
        if connection.protocol.state.name != "OPEN" or not _writable(connection.socket):
            return False
        connection.protocol.send_ping(_PAYLOAD)
        connection.send_data()
    except (OSError, ValueError):  # the connection has just ended, which other code will notice
        return False
    finally:
        mutex.release()
    return True


def _writable(sock: Any) -> bool:
    """True if the kernel has buffer space; raises OSError or ValueError if the socket is closed."""
    poller = select.poll()
    poller.register(sock.fileno(), select.POLLOUT)
    return bool(poller.poll(0))
