"""The stream of server.py, with its dead clients noticed."""

import argparse
import asyncio

from aiohttp import web

from halfopen.liveness import AsyncWatcher

watcher = AsyncWatcher(grace=30.0, poll=2.0)


async def stream(socket: web.WebSocketResponse) -> None:
    while True:
        await socket.send_bytes(bytes(32 * 1024))
        await asyncio.sleep(0.05)


async def session(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    streaming = asyncio.create_task(stream(socket), name="stream")
    try:
        with watcher.watch(request, ask=socket.ping):
            async for _message in socket:
                pass
    finally:
        streaming.cancel()
    return socket


parser = argparse.ArgumentParser()
parser.add_argument("--host", required=True)
parser.add_argument("--port", type=int, required=True)
options = parser.parse_args()
app = web.Application()
app.router.add_get("/", session)
web.run_app(app, host=options.host, port=options.port)
