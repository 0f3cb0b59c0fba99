"""A stream over aiohttp (https://docs.aiohttp.org/en/stable/web_quickstart.html#websockets)."""

import argparse
import asyncio

from aiohttp import web


async def stream(socket: web.WebSocketResponse) -> None:
    while True:
        await socket.send_bytes(bytes(32 * 1024))
        await asyncio.sleep(0.05)


async def session(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(heartbeat=options.heartbeat)
    await socket.prepare(request)
    streaming = asyncio.create_task(stream(socket), name="stream")
    try:
        async for _message in socket:
            pass
    finally:
        streaming.cancel()
    return socket


parser = argparse.ArgumentParser()
parser.add_argument("--host", required=True)
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--heartbeat", type=float)
options = parser.parse_args()
app = web.Application()
app.router.add_get("/", session)
web.run_app(app, host=options.host, port=options.port)
