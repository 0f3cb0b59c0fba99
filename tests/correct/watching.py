"""Stream to every client, and end those whose kernel or window is silent for too long: ``watching.py HOST PORT``.

Plain asyncio and websockets. The watchdog asks the kernel only (TCP_INFO), and shares no code with halfopen's.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import time

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

POLL = 1.0
#: Seconds for which a client's window may stay shut, and those for which its path may be dark.
SHUT, DARK = 30.0, 85.0
_ESTABLISHED = 1


def tcp_info(sock: socket.socket) -> tuple[int, int, int, int]:
    """Return the state, unacknowledged packets, acknowledged bytes and unsent bytes (include/uapi/linux/tcp.h)."""
    raw = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    return (
        raw[0],
        *struct.unpack_from("=I", raw, 24),
        *struct.unpack_from("=Q", raw, 120),
        *struct.unpack_from("=I", raw, 144),
    )


async def watch(connection: ServerConnection) -> None:
    """Abort the connection once its client is dead."""
    sock = connection.transport.get_extra_info("socket")
    moved_at, before = time.monotonic(), -1
    while True:
        await asyncio.sleep(POLL)
        state, unacked, acked, unsent = tcp_info(sock)
        now = time.monotonic()
        if acked != before or not (unacked or unsent):
            moved_at, before = now, acked
        if state != _ESTABLISHED or now - moved_at > (DARK if unacked else SHUT):
            connection.transport.abort()
            return


async def handler(connection: ServerConnection) -> None:
    watching = asyncio.create_task(watch(connection))
    try:
        while True:
            await connection.send(bytes(16 * 1024))
            await asyncio.sleep(0.2)
    except ConnectionClosed:
        pass
    finally:
        watching.cancel()


async def main(host: str, port: int) -> None:
    async with serve(handler, host, port, ping_interval=None) as server:
        await server.serve_forever()


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
