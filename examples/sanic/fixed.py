"""The stream of server.py, with its dead clients noticed."""

import argparse
import asyncio

from sanic import Request, Sanic, Websocket

from halfopen.liveness import AsyncWatcher

watcher = AsyncWatcher(grace=30.0, poll=2.0)

app = Sanic("stream")
app.config.WEBSOCKET_PING_INTERVAL = None  # the watcher sends pings itself


async def stream(socket: Websocket) -> None:
    while True:
        await socket.send(bytes(32 * 1024))
        await asyncio.sleep(0.05)


@app.websocket("/")
async def session(request: Request, socket: Websocket) -> None:
    streaming = asyncio.create_task(stream(socket), name="stream")
    try:
        with watcher.watch(request, ask=socket.ping):
            async for _message in socket:
                pass
    finally:
        streaming.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    app.run(host=options.host, port=options.port, single_process=True)
