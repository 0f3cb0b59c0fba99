"""The stream of app.py for a server without a lifespan, with its dead clients noticed."""

from app import Message, Receive, Send, session

from halfopen.liveness import AsyncWatcher

watcher = AsyncWatcher(grace=30.0, poll=2.0)
listener = watcher.watch_listener()


async def app(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        listener.start()  # once, with the first client
        await session(receive, send)
