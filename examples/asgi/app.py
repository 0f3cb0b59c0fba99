"""A stream as an ASGI application (https://asgi.readthedocs.io), for any server that serves such."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


async def stream(send: Send) -> None:
    while True:
        await send({"type": "websocket.send", "bytes": bytes(32 * 1024)})
        await asyncio.sleep(0.05)


async def session(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    streaming = asyncio.create_task(stream(send), name="stream")
    try:
        while (await receive())["type"] != "websocket.disconnect":
            pass
    finally:
        streaming.cancel()


async def lifespan(receive: Receive, send: Send) -> None:
    while True:
        event = (await receive())["type"]
        await send({"type": f"{event}.complete"})
        if event == "lifespan.shutdown":
            return


async def app(scope: Message, receive: Receive, send: Send) -> None:
    await (lifespan if scope["type"] == "lifespan" else session)(receive, send)
