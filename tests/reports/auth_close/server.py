"""Wants a token as first message within 3 s, closes with 4401 otherwise."""

import argparse
import asyncio

from websockets.asyncio.server import serve

parser = argparse.ArgumentParser()
parser.add_argument("--host")
parser.add_argument("--port", type=int)
options = parser.parse_args()


async def handler(connection):
    try:
        token = await asyncio.wait_for(connection.recv(), 3)
    except TimeoutError:
        token = ""
    if token != "secret":
        await connection.close(4401, "send your token first")
        return
    while True:
        await connection.send(bytes(32768))
        await asyncio.sleep(0.05)


async def main():
    async with serve(handler, options.host, options.port) as server:
        await server.serve_forever()


asyncio.run(main())
