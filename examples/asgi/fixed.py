"""The stream of app.py, with its dead clients noticed."""

from app import Message, Receive, Send, session

from halfopen.liveness import AsyncWatcher

watcher = AsyncWatcher(grace=30.0, poll=2.0)


async def lifespan(receive: Receive, send: Send) -> None:
    await receive()
    # Every connection that this process accepts on its ports.
    with watcher.watch_listener():
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def app(scope: Message, receive: Receive, send: Send) -> None:
    await (lifespan if scope["type"] == "lifespan" else session)(receive, send)
