"""An ASGI application that watches what its server accepts. ``LISTEN=session`` is for servers without a lifespan."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable
from typing import Any

from halfopen.liveness import AsyncWatcher

logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
watcher = AsyncWatcher(float(os.environ["GRACE"]), float(os.environ["POLL"]))
listener = watcher.watch_listener(int(os.environ["PORT"]) if "PORT" in os.environ else None)

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def lifespan(receive: Receive, send: Send) -> None:
    await receive()
    with listener:
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def stream(send: Send) -> None:
    with contextlib.suppress(Exception):  # some servers raise once the client is gone
        while True:
            await send({"type": "websocket.send", "bytes": bytes(32 * 1024)})
            await asyncio.sleep(0.02)


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    if os.environ.get("LISTEN") == "session":
        listener.start()
    await receive()
    await send({"type": "websocket.accept"})
    streaming = asyncio.create_task(stream(send))
    try:
        while (await receive())["type"] != "websocket.disconnect":
            pass
    finally:
        streaming.cancel()
        print("left", scope["path"], flush=True)
