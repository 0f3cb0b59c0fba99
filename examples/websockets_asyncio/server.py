"""A stream over websockets' asyncio API (https://websockets.readthedocs.io/en/stable/reference/asyncio/server.html)."""

import argparse
import asyncio

from websockets.asyncio.server import ServerConnection, serve


async def stream(connection: ServerConnection) -> None:
    while True:
        await connection.send(bytes(32 * 1024))
        await asyncio.sleep(0.05)


async def handle(connection: ServerConnection) -> None:
    streaming = asyncio.create_task(stream(connection), name="stream")
    try:
        async for _message in connection:
            pass
    finally:
        streaming.cancel()


async def main(host: str, port: int) -> None:
    async with serve(handle, host, port) as server:
        await server.serve_forever()


parser = argparse.ArgumentParser()
parser.add_argument("--host", required=True)
parser.add_argument("--port", type=int, required=True)
options = parser.parse_args()
asyncio.run(main(options.host, options.port))
