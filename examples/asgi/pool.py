"""Updates as an ASGI application: code that is not async sends them, from a small pool of threads."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from app import Message, Receive, Send

pool = ThreadPoolExecutor(4, thread_name_prefix="sender")
clients: set[Send] = set()


def deliver(send: Send, loop: asyncio.AbstractEventLoop) -> None:
    update = send({"type": "websocket.send", "bytes": bytes(32 * 1024)})
    asyncio.run_coroutine_threadsafe(update, loop).result()


def publish(loop: asyncio.AbstractEventLoop) -> None:
    while True:
        for send in list(clients):
            pool.submit(deliver, send, loop)
        time.sleep(0.05)


async def session(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    clients.add(send)
    try:
        while (await receive())["type"] != "websocket.disconnect":
            pass
    finally:
        clients.discard(send)


async def lifespan(receive: Receive, send: Send) -> None:
    await receive()
    threading.Thread(target=publish, args=(asyncio.get_running_loop(),), name="publisher", daemon=True).start()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def app(scope: Message, receive: Receive, send: Send) -> None:
    await (lifespan if scope["type"] == "lifespan" else session)(receive, send)
