"""Streams to every client and, unless told otherwise, ends those whose kernel acknowledges nothing for a grace:
``python watched.py --host HOST --port PORT [--without-watchdog] [--grace SECONDS]``."""

from __future__ import annotations

import argparse
import contextlib
import time

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from harness.pod.watchdog import Watchdog


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--without-watchdog", action="store_true")
    parser.add_argument("--grace", type=float, default=30.0)
    options = parser.parse_args()

    def handle(connection: ServerConnection) -> None:
        watched = Watchdog(connection.socket, lambda _: None, grace=options.grace, poll=options.grace / 15)
        with (
            contextlib.nullcontext() if options.without_watchdog else watched,
            contextlib.suppress(ConnectionClosed, OSError),
        ):
            while True:
                connection.send(bytes(0x8000))
                time.sleep(0.05)

    with serve(handle, options.host, options.port, ping_interval=None) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
