"""The dashboard of server.py with a queue for each client, so that nobody waits for another; dead ones are noticed."""

import argparse
import asyncio

from websockets.asyncio.server import ServerConnection, serve

from halfopen.liveness import AsyncWatcher

watcher = AsyncWatcher(grace=30.0, poll=2.0)
queues: set[asyncio.Queue[bytes]] = set()


async def publish() -> None:
    while True:
        for queue in queues:
            if queue.full():
                queue.get_nowait()  # a slow client misses the oldest update
            queue.put_nowait(bytes(32 * 1024))
        await asyncio.sleep(0.05)


async def stream(connection: ServerConnection, queue: asyncio.Queue[bytes]) -> None:
    while True:
        await connection.send(await queue.get())


async def handle(connection: ServerConnection) -> None:
    queue: asyncio.Queue[bytes] = asyncio.Queue(maxsize=20)
    queues.add(queue)
    streaming = asyncio.create_task(stream(connection, queue), name="stream")
    try:
        with watcher.watch(connection):
            async for _message in connection:
                pass
    finally:
        streaming.cancel()
        queues.discard(queue)


async def main(host: str, port: int) -> None:
    async with serve(handle, host, port, ping_interval=None):
        await publish()


parser = argparse.ArgumentParser()
parser.add_argument("--host", required=True)
parser.add_argument("--port", type=int, required=True)
options = parser.parse_args()
asyncio.run(main(options.host, options.port))
