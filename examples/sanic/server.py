"""A stream over Sanic (https://sanic.dev/en/guide/advanced/websockets.html)."""

import argparse
import asyncio

from sanic import Request, Sanic, Websocket

app = Sanic("stream")


async def stream(socket: Websocket) -> None:
    while True:
        await socket.send(bytes(32 * 1024))
        await asyncio.sleep(0.05)


@app.websocket("/")
async def session(_request: Request, socket: Websocket) -> None:
    streaming = asyncio.create_task(stream(socket), name="stream")
    try:
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
