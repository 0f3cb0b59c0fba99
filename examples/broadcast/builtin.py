"""A dashboard over websockets.broadcast (https://websockets.readthedocs.io/en/stable/topics/broadcast.html)."""

import argparse
import asyncio

from websockets.asyncio.server import ServerConnection, broadcast, serve

clients: set[ServerConnection] = set()


async def publish() -> None:
    while True:
        broadcast(clients, bytes(32 * 1024))
        await asyncio.sleep(0.05)


async def handle(connection: ServerConnection) -> None:
    clients.add(connection)
    try:
        async for _message in connection:
            pass
    finally:
        clients.discard(connection)


async def main(host: str, port: int) -> None:
    async with serve(handle, host, port):
        await publish()


parser = argparse.ArgumentParser()
parser.add_argument("--host", required=True)
parser.add_argument("--port", type=int, required=True)
options = parser.parse_args()
asyncio.run(main(options.host, options.port))
