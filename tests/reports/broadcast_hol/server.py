"""A dashboard: one loop sends each update to each client in turn, and waits for each."""

import argparse
import asyncio
import contextlib

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

parser = argparse.ArgumentParser()
parser.add_argument("--host")
parser.add_argument("--port", type=int)
options = parser.parse_args()
clients = []


async def handler(connection):
    clients.append(connection)
    try:
        await connection.wait_closed()
    finally:
        clients.remove(connection)


async def main():
    async with serve(handler, options.host, options.port):
        while True:
            for connection in tuple(clients):
                with contextlib.suppress(ConnectionClosed):
                    await connection.send(bytes(32768))
            await asyncio.sleep(0.05)


asyncio.run(main())
