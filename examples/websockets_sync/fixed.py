"""The stream of server.py, with its dead clients noticed."""

import argparse
import contextlib
import threading
import time

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from halfopen.liveness import Watcher, ask

watcher = Watcher(grace=30.0, poll=2.0)


def stream(connection: ServerConnection) -> None:
    with contextlib.suppress(ConnectionClosed):
        while True:
            connection.send(bytes(32 * 1024))
            time.sleep(0.05)


def handle(connection: ServerConnection) -> None:
    threading.Thread(target=stream, args=(connection,), name="stream", daemon=True).start()
    # It ends the connection of a dead client, which wakes whatever waits for it.
    with watcher.watch(connection.socket, on_dead=print, ask=lambda: ask(connection)):
        for _message in connection:
            pass


parser = argparse.ArgumentParser()
parser.add_argument("--host", required=True)
parser.add_argument("--port", type=int, required=True)
options = parser.parse_args()
with serve(handle, options.host, options.port, ping_interval=None) as server:
    server.serve_forever()
