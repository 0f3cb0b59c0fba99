"""A channel server as Phoenix or SignalR have it: whoever is not heard of for 30 s is gone. It pings nobody itself."""

import argparse
import asyncio

from websockets.asyncio.server import serve

parser = argparse.ArgumentParser()
parser.add_argument("--host")
parser.add_argument("--port", type=int)
parser.add_argument("--push-every", type=float, default=45)
options = parser.parse_args()


async def handler(connection):
    async def push():
        while True:
            await connection.send('{"event":"news"}')
            await asyncio.sleep(options.push_every)

    pushing = asyncio.create_task(push())
    try:
        while True:
            await asyncio.wait_for(connection.recv(), 30)
    except TimeoutError:
        connection.transport.abort()
    finally:
        pushing.cancel()


async def main():
    async with serve(handler, options.host, options.port, ping_interval=None) as server:
        await server.serve_forever()


asyncio.run(main())
