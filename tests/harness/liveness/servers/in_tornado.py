"""A server on Tornado that watches each connection: ``in_tornado.py PORT GRACE POLL``."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from typing import Any

from tornado.iostream import StreamClosedError
from tornado.web import Application
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from halfopen.liveness import AsyncWatcher

logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
watcher = AsyncWatcher(float(sys.argv[2]), float(sys.argv[3]))


class Session(WebSocketHandler):
    def open(self, *_: str) -> None:
        self.watch = watcher.watch(self.ws_connection.stream, ask=lambda: self.ping(b""))
        self.watch.start()
        if self.request.path != "/quiet":
            self.streaming = asyncio.create_task(self.stream())

    async def stream(self) -> None:
        with contextlib.suppress(WebSocketClosedError, StreamClosedError):
            while True:
                await self.write_message(bytes(32 * 1024), binary=True)
                await asyncio.sleep(0.02)

    def on_message(self, message: Any) -> None:
        pass

    def on_close(self) -> None:
        self.watch.stop()
        print("left", self.request.path, flush=True)


async def main() -> None:
    Application([("/.*", Session)]).listen(int(sys.argv[1]), "127.0.0.1")
    await asyncio.Event().wait()


asyncio.run(main())
