"""Notifications: the handler waits on its own queue and pushes. It never receives, and rarely has anything to say."""

from __future__ import annotations

import asyncio
import json
from typing import Any

users: dict[object, tuple[str, int]] = {}


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "http":
        body = json.dumps([{"peer": f"{host}:{port}"} for host, port in users.values()]).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": body})
    else:
        await feed(scope, receive, send)


async def feed(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    me = object()
    users[me] = scope["client"]
    queue: asyncio.Queue[str] = asyncio.Queue()
    try:
        await send({"type": "websocket.send", "text": '{"hello": true}'})
        while True:
            await send({"type": "websocket.send", "text": await queue.get()})  # nobody ever puts anything in
    finally:
        del users[me]
