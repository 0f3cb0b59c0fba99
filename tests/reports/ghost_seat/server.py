"""One device a user: whoever is connected already is refused (HTTP 409). Pings every 5 s, 5 s for the pong."""

import argparse
import asyncio
import http

from websockets.asyncio.server import serve

parser = argparse.ArgumentParser()
parser.add_argument("--host")
parser.add_argument("--port", type=int)
options = parser.parse_args()
seats = set()


def admit(connection, request):
    user = request.headers.get("X-User", "?")
    if user in seats:
        return connection.respond(http.HTTPStatus.CONFLICT, "already connected\n")
    connection.user = user
    return None


async def handler(connection):
    seats.add(connection.user)
    try:
        while True:
            await connection.send("tick" * 50)
            await asyncio.sleep(0.5)
    finally:
        seats.discard(connection.user)


async def main():
    async with serve(handler, options.host, options.port, process_request=admit, ping_interval=5, ping_timeout=5) as s:
        await s.serve_forever()


asyncio.run(main())
