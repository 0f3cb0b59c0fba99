"""A dashboard over websockets: one loop sends each update to each client in turn, and waits for each."""

import argparse
import asyncio
import contextlib

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

clients: set[ServerConnection] = set()


async def publish() -> None:
    while True:
        for client in list(clients):
            with contextlib.suppress(ConnectionClosed):
                await client.send(bytes(32 * 1024))
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
