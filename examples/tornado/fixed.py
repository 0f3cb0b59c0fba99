"""The stream of server.py, with its dead clients noticed."""

import argparse
import asyncio

from tornado.web import Application
from tornado.websocket import WebSocketHandler

from halfopen.liveness import AsyncWatcher

watcher = AsyncWatcher(grace=30.0, poll=2.0)


class Session(WebSocketHandler):
    def open(self) -> None:
        self.watch = watcher.watch(self.ws_connection.stream, ask=lambda: self.ping(b""))
        self.watch.__enter__()
        self.streaming = asyncio.create_task(self.stream(), name="stream")

    async def stream(self) -> None:
        while True:
            await self.write_message(bytes(32 * 1024), binary=True)
            await asyncio.sleep(0.05)

    def on_message(self, message: str | bytes) -> None:
        pass

    def on_close(self) -> None:
        self.watch.stop()
        self.streaming.cancel()


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    Application([("/", Session)]).listen(options.port, options.host)
    await asyncio.Event().wait()


asyncio.run(main())
