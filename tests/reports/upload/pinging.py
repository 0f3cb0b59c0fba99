"""Takes uploads as one message, says 'tick' every second. The library's keepalive expects a pong within 10 s."""

import asyncio
import sys

from websockets.asyncio.server import ServerConnection, serve


async def handler(connection: ServerConnection) -> None:
    async def ticks() -> None:
        while True:
            await connection.send("tick")
            await asyncio.sleep(1)

    ticking = asyncio.create_task(ticks())
    try:
        async for message in connection:
            print("got a message of", len(message), flush=True)
    finally:
        ticking.cancel()


async def main() -> None:
    async with serve(
        handler, sys.argv[1], int(sys.argv[2]), max_size=None, ping_interval=10, ping_timeout=10
    ) as server:
        await server.serve_forever()


asyncio.run(main())
