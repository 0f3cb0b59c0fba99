"""A stream over Tornado (https://www.tornadoweb.org/en/stable/websocket.html)."""

import argparse
import asyncio

from tornado.web import Application
from tornado.websocket import WebSocketHandler


class Session(WebSocketHandler):
    def open(self) -> None:
        self.streaming = asyncio.create_task(self.stream(), name="stream")

    async def stream(self) -> None:
        while True:
            await self.write_message(bytes(32 * 1024), binary=True)
            await asyncio.sleep(0.05)

    def on_message(self, message: str | bytes) -> None:
        pass

    def on_close(self) -> None:
        self.streaming.cancel()


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ping", type=float, help="websocket_ping_interval, seconds")
    options = parser.parse_args()
    settings = {} if options.ping is None else {"websocket_ping_interval": options.ping}
    Application([("/", Session)], **settings).listen(options.port, options.host)
    await asyncio.Event().wait()


asyncio.run(main())
