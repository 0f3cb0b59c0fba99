"""A server on Sanic that watches each connection: ``in_sanic.py PORT GRACE POLL``."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from typing import Any

from sanic import Sanic
from sanic.exceptions import WebsocketClosed

from halfopen.liveness import AsyncWatcher

watcher = AsyncWatcher(float(sys.argv[2]), float(sys.argv[3]))
app = Sanic("watched")


async def stream(ws: Any) -> None:
    with contextlib.suppress(WebsocketClosed):
        while True:
            await ws.send(bytes(32 * 1024))
            await asyncio.sleep(0.02)


async def session(request: Any, ws: Any, path: str = "") -> None:  # noqa: ARG001 (of the route)
    streaming = None if request.path == "/quiet" else asyncio.create_task(stream(ws))
    try:
        with watcher.watch(request, ask=ws.ping):
            async for _ in ws:
                pass
    finally:
        if streaming is not None:
            streaming.cancel()
        print("left", request.path, flush=True)


app.add_websocket_route(session, "/<path:path>")

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    app.run(host="127.0.0.1", port=int(sys.argv[1]), single_process=True)
