"""Sends the document on arrival as one message (12 MB), then an edit every 5 s. --ping: the library's keepalive."""

import argparse
import asyncio

from websockets.asyncio.server import serve

parser = argparse.ArgumentParser()
parser.add_argument("--host")
parser.add_argument("--port", type=int)
parser.add_argument("--ping", type=float, default=0)
options = parser.parse_args()


async def handler(connection):
    await connection.send(bytes(12_000_000))
    while True:
        await connection.send("edit" * 20)
        await asyncio.sleep(1)


async def main():
    async with serve(handler, options.host, options.port, ping_interval=options.ping or None) as server:
        await server.serve_forever()


asyncio.run(main())
