"""Stream only to clients that ask correctly: ``python asking.py HOST PORT [CERT KEY]``.

They need the path /stream, the subprotocol ``audio``, a token in a header, and a subscription as the first message.
Every BEAT seconds the server sends a text ``beat``, to be answered by ``alive`` before the next is due. /api lists the
sessions, deep in an answer, each with the address of its peer.
"""

from __future__ import annotations

import http
import json
import ssl
import sys
import threading
import time

from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

BEAT = 0.5
sessions: dict[int, ServerConnection] = {}


def admit(connection: ServerConnection, request: Request) -> Response | None:
    if request.path == "/api":
        peers = [{"peer": {"at": list(its.remote_address)}} for its in list(sessions.values())]
        body = json.dumps({"data": {"sessions": peers}}).encode()
        return Response(200, "OK", Headers({"Content-Length": str(len(body))}), body)
    if request.path != "/stream":
        return connection.respond(http.HTTPStatus.NOT_FOUND, f"there is nothing at {request.path}\n")
    if request.headers.get("Authorization") != "Bearer open: sesame":
        return connection.respond(http.HTTPStatus.UNAUTHORIZED, "no token\n")
    return None


def stream(connection: ServerConnection) -> None:
    if connection.subprotocol != "audio" or connection.recv() != '{"subscribe": "audio"}':
        connection.close(1008)
        return
    answered = threading.Event()

    def listen() -> None:
        for message in connection:
            if message == "alive":
                answered.set()

    threading.Thread(target=listen, daemon=True).start()
    sessions[id(connection)] = connection
    try:
        while True:
            answered.clear()
            connection.send("beat")
            until = time.monotonic() + BEAT
            while time.monotonic() < until:
                connection.send(bytes(16384))
                time.sleep(0.02)
            if not answered.is_set():
                connection.close(1008)
                return
    finally:
        del sessions[id(connection)]


def main() -> None:
    host, port, *certificate = sys.argv[1:]
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
    with serve(stream, host, int(port), subprotocols=["audio"], process_request=admit, ssl=context) as server:  # type: ignore[list-item]
        server.serve_forever()


main()
