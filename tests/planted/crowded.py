"""Stream to a crowd of clients, well or badly: ``python crowded.py HOST PORT WAY [COUNT]``.

``good`` serves everybody. ``closed`` serves the first COUNT connections and refuses all later ones with HTTP 503.
``leaking`` keeps a thread of every connection for good. ``backlog`` has the shortest accept queue that there is.
``holding`` keeps the sockets of clients that have left. Its keepalive ends a session that is silent for 6 s.
"""

from __future__ import annotations

import http
import itertools
import socket
import sys
import threading
import time

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

numbers = itertools.count(1)
kept: list[socket.socket] = []


def main() -> None:
    host, port, way, *counts = sys.argv[1:]

    def admit(connection: ServerConnection, _: Request) -> Response | None:
        if way == "closed" and next(numbers) > int(counts[0]):
            return connection.respond(http.HTTPStatus.SERVICE_UNAVAILABLE, "come back never\n")
        return None

    def stream(connection: ServerConnection) -> None:
        if way == "leaking":
            threading.Thread(target=threading.Event().wait, daemon=True).start()
        if way == "holding":
            kept.append(connection.socket.dup())
        try:
            while True:
                connection.send(bytes(1024))
                time.sleep(0.5)
        except ConnectionClosed:
            return

    sock = socket.create_server((host, int(port)), backlog=1 if way == "backlog" else 128)
    with serve(stream, sock=sock, process_request=admit, ping_interval=2, ping_timeout=4) as server:
        server.serve_forever()


main()
