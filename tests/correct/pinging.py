"""End clients that block a write for 10 s or leave a ping unanswered: ``pinging.py HOST PORT stream|quiet``.

With ``none`` as the fourth argument it does neither, and notices only what the kernel reports.
"""

from __future__ import annotations

import asyncio
import sys

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

#: Seconds.
DEADLINE, PING_INTERVAL, PING_TIMEOUT = 10.0, 10.0, 15.0
#: Bytes that wait in asyncio's buffer. With its own 64 KiB, a write to a client on 64 kbit/s blocks for about 10 s.
WRITE_LIMIT = 16 * 1024


async def stream(connection: ServerConnection, deadline: float | None) -> None:
    while True:
        try:
            await asyncio.wait_for(connection.send(bytes(32 * 1024)), deadline)
        except TimeoutError:
            connection.transport.abort()
            return
        await asyncio.sleep(0.1)


async def main(host: str, port: int, streams: bool, notices: bool) -> None:
    async def handler(connection: ServerConnection) -> None:
        try:
            if streams:
                await stream(connection, DEADLINE if notices else None)
            else:
                await connection.send("welcome")
        except ConnectionClosed:
            pass
        await connection.wait_closed()

    ping = PING_INTERVAL if notices else None
    async with serve(
        handler, host, port, ping_interval=ping, ping_timeout=PING_TIMEOUT, write_limit=WRITE_LIMIT
    ) as server:
        await server.serve_forever()


asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3] == "stream", sys.argv[4:] != ["none"]))
