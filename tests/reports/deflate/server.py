"""Telemetry as JSON, compressed (permessage-deflate is the library's default); a session without it is refused."""

import argparse
import asyncio
import json

from websockets.asyncio.server import serve

parser = argparse.ArgumentParser()
parser.add_argument("--host")
parser.add_argument("--port", type=int)
parser.add_argument("--insist", action="store_true")
options = parser.parse_args()


async def handler(connection):
    if options.insist and not connection.protocol.extensions:
        await connection.close(1010, "compression, please")
        return
    n = 0
    while True:
        n += 1
        await connection.send(json.dumps([{"sensor": i, "value": n * i % 97} for i in range(200)]))
        await asyncio.sleep(0.05)


async def main():
    async with serve(handler, options.host, options.port) as server:
        await server.serve_forever()


asyncio.run(main())
