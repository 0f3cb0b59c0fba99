"""Notifications as an ASGI application: a handler that waits for news and pushes them, and never receives."""

import asyncio

from app import Message, Receive, Send, lifespan


async def session(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": '{"hello": true}'})
    news: asyncio.Queue[str] = asyncio.Queue()
    while True:
        await send({"type": "websocket.send", "text": await news.get()})


async def app(scope: Message, receive: Receive, send: Send) -> None:
    await (lifespan if scope["type"] == "lifespan" else session)(receive, send)
