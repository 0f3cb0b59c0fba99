"""The pod itself: it seats clients, streams to them, and answers HTTP on the same port."""

from __future__ import annotations

import contextlib
import http
import json
import logging
import socket
import ssl
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve
from websockets.version import version as websockets_version

from halfopen.pod.detectors import _keepalive
from halfopen.pod.detectors._seam import Detector
from halfopen.pod.log import log
from halfopen.pod.sessions import PodSession, Registry
from halfopen.pod.stream import Stream

#: "Try again later" (the IANA registry of RFC 6455 close codes).
NO_SEAT = 1013

# The incident's settings.
_KEEPALIVE = {"ping_interval": 20, "ping_timeout": 90}


class Pod:
    """One server with its registry. Its port answers WebSocket clients and HTTP requests.

    ``GET`` works for ``/sessions`` (a JSON array), ``/pool`` (``lockHeld``), ``/threads`` (stacks by thread name) and
    ``/healthz``, which always reports "healthy", as in the incident. ``/status`` is all of it at once, without the
    stacks. A client with ``?preempt=1`` takes the oldest session's seat if none is free.
    """

    def __init__(
        self, detector: Detector, stream: Stream, seats: int, session_limit: float, ping_interval: float | None
    ) -> None:
        """``session_limit``: seconds after which the pod closes a session; ``ping_interval``: of its keepalive."""
        self._detector = detector
        self._stream = stream
        self._session_limit = session_limit
        self._keepalive = _KEEPALIVE if ping_interval is None else {**_KEEPALIVE, "ping_interval": ping_interval}
        self._registry = Registry(seats)
        self._routes: dict[str, Callable[[], Any]] = {
            "/sessions": self._registry.describe,
            "/pool": lambda: {"lockHeld": not self._registry.has_room()},
            "/healthz": lambda: {"status": "healthy"},
            "/threads": stacks,
            "/status": self._status,
        }

    def run(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Serve until interrupted; raises OSError if the port is taken."""
        keepalive = self._keepalive if _keepalive.there_is_one() else {}
        options = {**keepalive, **self._detector.serve_options()}
        # Health checks that hang up without a request are not worth a traceback.
        logging.getLogger("websockets.server").setLevel(logging.CRITICAL)
        options = {"process_request": self._answer, "compression": None, "ssl": tls, **options}
        with serve(self._handle, host, port, **options) as server, contextlib.suppress(KeyboardInterrupt):
            log("listening", host=host, port=server.socket.getsockname()[1], websockets=websockets_version)
            server.serve_forever()

    def _status(self) -> dict[str, Any]:
        return {
            "sessions": self._registry.describe(),
            "lockHeld": not self._registry.has_room(),
            "status": "healthy",
            "threads": sorted(thread.name for thread in threading.enumerate()),
        }

    def _answer(self, _: ServerConnection, request: Request) -> Response | None:
        route = self._routes.get(urlsplit(request.path).path)
        if route is None:
            return None
        body = json.dumps(route()).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}
        return Response(http.HTTPStatus.OK, "OK", Headers(headers), body)

    def _handle(self, connection: ServerConnection) -> None:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        session = PodSession(
            self._registry.next_id(), _client_id(connection), connection, self._stream, self._session_limit
        )
        preempt = "preempt" in _query(connection)
        threading.current_thread().name = f"runner-{session.id}"
        with self._registry.seat(session, preempt=preempt) as seated:
            if not seated:
                log("session_refused", client=session.client_id, reason="no_seat")
                connection.close(NO_SEAT, "no seat is free, try again later")
                return
            log("session_opened", session=session.id, client=session.client_id)
            with self._detector.guard(session):
                session.run()


def _query(connection: ServerConnection) -> dict[str, list[str]]:
    request = connection.request
    return parse_qs(urlsplit(request.path).query) if request else {}


def _client_id(connection: ServerConnection) -> str:
    remote = connection.remote_address
    return _query(connection).get("client", [f"{remote[0]}:{remote[1]}"])[0]


def stacks() -> dict[str, list[str]]:
    """Return the stack of every thread of this process: function names with file and line, innermost first."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    frames = sys._current_frames()  # noqa: SLF001 (documented, and the only way)
    return {
        names.get(ident, str(ident)): [
            f"{call.name} ({call.filename}:{call.lineno})" for call in reversed(traceback.extract_stack(frame))
        ]
        for ident, frame in frames.items()
    }
