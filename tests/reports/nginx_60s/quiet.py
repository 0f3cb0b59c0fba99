"""A chat room in which nobody talks. The server sends nothing and pings nobody."""

import asyncio
import sys

from websockets.asyncio.server import ServerConnection, serve


async def handler(connection: ServerConnection) -> None:
    async for _message in connection:
        pass


async def main() -> None:
    async with serve(handler, sys.argv[1], int(sys.argv[2]), ping_interval=None) as server:
        await server.serve_forever()


asyncio.run(main())
