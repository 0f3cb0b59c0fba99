"""An event every 150 seconds over websockets (https://websockets.readthedocs.io), with the library's defaults."""

import argparse
import asyncio

from websockets.asyncio.server import ServerConnection, serve


async def session(connection: ServerConnection) -> None:
    while True:
        await connection.send('{"event": "tick"}')
        await asyncio.sleep(150)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    async with serve(session, options.host, options.port) as server:
        await server.serve_forever()


asyncio.run(main())
