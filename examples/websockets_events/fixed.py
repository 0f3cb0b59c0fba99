"""The events of server.py, with its dead clients noticed."""

import argparse
import asyncio

from websockets.asyncio.server import ServerConnection, serve

from halfopen.liveness import AsyncWatcher

watcher = AsyncWatcher(grace=20.0, poll=2.0)  # a quiet client is found after one and a half of it


async def session(connection: ServerConnection) -> None:
    with watcher.watch(connection):
        while True:
            await connection.send('{"event": "tick"}')
            await asyncio.sleep(150)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    async with serve(session, options.host, options.port, ping_interval=None) as server:
        await server.serve_forever()


asyncio.run(main())
