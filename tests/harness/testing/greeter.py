"""Refuses unknown users with 403, and with ``once`` in the query an address that it has served with 409."""

from __future__ import annotations

import http
import sys
import time

from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

SEEN: set[str] = set()


def admit(connection: ServerConnection, request: Request) -> Response | None:
    if request.headers.get("X-User") not in {"ann", "ben"}:
        return connection.respond(http.HTTPStatus.FORBIDDEN, "who are you?")
    address = str(connection.remote_address[0])
    if "once" in request.path and address in SEEN:
        return connection.respond(http.HTTPStatus.CONFLICT, "you are here already")
    SEEN.add(address)
    return None


def talk(connection: ServerConnection) -> None:
    while True:
        connection.send(b"x" * 1000)
        time.sleep(0.05)


with serve(talk, sys.argv[1], int(sys.argv[2]), process_request=admit) as server:
    server.serve_forever()
