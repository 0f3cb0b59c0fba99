"""A server on aiohttp that watches each connection: ``in_aiohttp.py PORT GRACE POLL``."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys

from aiohttp import web

from halfopen.liveness import AsyncWatcher

logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
watcher = AsyncWatcher(float(sys.argv[2]), float(sys.argv[3]))


async def stream(ws: web.WebSocketResponse) -> None:
    with contextlib.suppress(ConnectionError):
        while True:
            await ws.send_bytes(bytes(32 * 1024))
            await asyncio.sleep(0.02)


async def session(request: web.Request) -> web.WebSocketResponse:
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    streaming = None if request.path == "/quiet" else asyncio.create_task(stream(ws))
    with watcher.watch(request, ask=ws.ping):
        async for _ in ws:
            pass
    if streaming is not None:
        streaming.cancel()
    print("left", request.path, flush=True)
    return ws


app = web.Application()
app.router.add_get("/{path:.*}", session)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]))
