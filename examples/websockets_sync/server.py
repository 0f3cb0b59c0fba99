"""A stream over websockets' blocking API (https://websockets.readthedocs.io/en/stable/reference/sync/server.html)."""

import argparse
import contextlib
import threading
import time

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve


def stream(connection: ServerConnection) -> None:
    with contextlib.suppress(ConnectionClosed):
        while True:
            connection.send(bytes(32 * 1024))
            time.sleep(0.05)


def handle(connection: ServerConnection) -> None:
    threading.Thread(target=stream, args=(connection,), name="stream", daemon=True).start()
    for _message in connection:
        pass


parser = argparse.ArgumentParser()
parser.add_argument("--host", required=True)
parser.add_argument("--port", type=int, required=True)
options = parser.parse_args()
with serve(handle, options.host, options.port) as server:
    server.serve_forever()
