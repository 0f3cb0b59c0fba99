"""The updates of pool.py, for which no thread waits, with dead clients noticed."""

import asyncio
import threading
import time
from concurrent.futures import Future
from typing import Any

from app import Message, Receive, Send

from halfopen.liveness import AsyncWatcher

watcher = AsyncWatcher(grace=30.0, poll=2.0)
clients: dict[Send, list[Future[Any]]] = {}


def publish(loop: asyncio.AbstractEventLoop) -> None:
    while True:
        for send, pending in list(clients.items()):
            if all(update.done() for update in pending):  # else this client misses an update
                message = {"type": "websocket.send", "bytes": bytes(32 * 1024)}
                pending[:] = [asyncio.run_coroutine_threadsafe(send(message), loop)]
        time.sleep(0.05)


async def session(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    clients[send] = []
    try:
        while (await receive())["type"] != "websocket.disconnect":
            pass
    finally:
        del clients[send]


async def lifespan(receive: Receive, send: Send) -> None:
    await receive()
    threading.Thread(target=publish, args=(asyncio.get_running_loop(),), name="publisher", daemon=True).start()
    with watcher.watch_listener():
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def app(scope: Message, receive: Receive, send: Send) -> None:
    await (lifespan if scope["type"] == "lifespan" else session)(receive, send)
