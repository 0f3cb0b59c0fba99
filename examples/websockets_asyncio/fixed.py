"""The stream of server.py, with its dead clients noticed."""

import argparse
import asyncio

from websockets.asyncio.server import ServerConnection, serve

from halfopen.liveness import AsyncWatcher

watcher = AsyncWatcher(grace=30.0, poll=2.0)


async def stream(connection: ServerConnection) -> None:
    while True:
        await connection.send(bytes(32 * 1024))
        await asyncio.sleep(0.05)


async def handle(connection: ServerConnection) -> None:
    streaming = asyncio.create_task(stream(connection), name="stream")
    try:
        with watcher.watch(connection):
            async for _message in connection:
                pass
    finally:
        streaming.cancel()


async def main(host: str, port: int) -> None:
    # The watcher sends pings itself, and knows a slow reader from a dead one.
    async with serve(handle, host, port, ping_interval=None) as server:
        await server.serve_forever()


parser = argparse.ArgumentParser()
parser.add_argument("--host", required=True)
parser.add_argument("--port", type=int, required=True)
options = parser.parse_args()
asyncio.run(main(options.host, options.port))
