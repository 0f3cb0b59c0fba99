"""A server on websockets' asyncio API and uvloop that watches each connection: ``in_websockets.py PORT GRACE POLL``."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys

import uvloop
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from halfopen.liveness import AsyncWatcher

logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
watcher = AsyncWatcher(float(sys.argv[2]), float(sys.argv[3]))


async def session(connection: ServerConnection) -> None:
    path = connection.request.path
    with contextlib.suppress(ConnectionClosed), watcher.watch(connection):
        while path != "/quiet":
            await connection.send(bytes(32 * 1024))
            await asyncio.sleep(0.02)
        await connection.wait_closed()
    print("left", path, flush=True)


async def main() -> None:
    async with serve(session, "127.0.0.1", int(sys.argv[1]), ping_interval=None) as server:
        await server.serve_forever()


uvloop.run(main())
