"""Stream to every client: ``python watched.py --host HOST --port PORT``.

With the variable WATCHDOG, in seconds, the server ends clients whose kernel acknowledges nothing for so long. With
SILENT it sends nothing. With DYING it exits at once.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from halfopen.pod.watchdog import Watchdog


def watched(connection: ServerConnection) -> contextlib.AbstractContextManager[object]:
    grace = float(os.environ.get("WATCHDOG", "0"))
    return Watchdog(connection.socket, print, grace=grace, poll=grace / 15) if grace else contextlib.nullcontext()


def handle(connection: ServerConnection) -> None:
    with watched(connection), contextlib.suppress(ConnectionClosed, OSError):
        while True:
            if "SILENT" not in os.environ:
                connection.send(bytes(0x8000))
            time.sleep(0.05)


def main() -> None:
    if "DYING" in os.environ:
        sys.exit("no database")
    parser = argparse.ArgumentParser()
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    options = parser.parse_args()
    with serve(handle, options.host, options.port, ping_interval=None) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
