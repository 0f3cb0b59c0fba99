"""Stream with the library's keepalive set in seconds: ``python pinging.py HOST PORT INTERVAL TIMEOUT``."""

from __future__ import annotations

import asyncio
import sys

from websockets.asyncio.server import ServerConnection, serve


async def stream(connection: ServerConnection) -> None:
    while True:
        await connection.send(bytes(2048))
        await asyncio.sleep(0.2)


async def handle(connection: ServerConnection) -> None:
    streaming = asyncio.create_task(stream(connection))
    try:
        async for _message in connection:
            pass
    finally:
        streaming.cancel()


async def main() -> None:
    host, port, interval, timeout = sys.argv[1:]
    keepalive = {"ping_interval": float(interval), "ping_timeout": float(timeout)}
    async with serve(handle, host, int(port), **keepalive) as server:  # type: ignore[arg-type]
        await server.serve_forever()


asyncio.run(main())
