"""A feed by several workers, each with its own list of sessions. ``leaky`` never removes a session from it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

registry: dict[object, tuple[str, int]] = {}


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "websocket":
        await answer(scope, receive, send)
        return
    await receive()
    await send({"type": "websocket.accept"})
    me = object()
    registry[me] = scope["client"]
    try:
        await feed(receive, send)
    finally:
        del registry[me]


async def leaky(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "websocket":
        await answer(scope, receive, send)
        return
    await receive()
    await send({"type": "websocket.accept"})
    registry[object()] = scope["client"]
    await feed(receive, send)


async def feed(receive: Any, send: Any) -> None:
    async def stream() -> None:
        while True:
            await send({"type": "websocket.send", "bytes": bytes(32768)})
            await asyncio.sleep(0.05)

    streaming = asyncio.create_task(stream())
    while (await receive())["type"] != "websocket.disconnect":
        pass
    streaming.cancel()


async def answer(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = json.dumps([{"peer": f"{host}:{port}"} for host, port in registry.values()]).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body})
