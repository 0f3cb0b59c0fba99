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
from halfopen.pod.sessions import PodSession, Registry, Seats
from halfopen.pod.stream import Stream

#: "Try again later" (the IANA registry of RFC 6455 close codes).
NO_SEAT = 1013
NO_SEAT_REASON = "no seat is free, try again later"

# The incident's settings.
_KEEPALIVE = {"ping_interval": 20, "ping_timeout": 90}


class HttpPod:
    """The part of a pod that does not depend on the API of the library: its settings, and its answers to HTTP requests.

    ``GET`` works for ``/sessions`` (a JSON array), ``/pool`` (``lockHeld``), ``/threads`` (stacks by the name of a
    thread or task) and ``/healthz``, which always reports "healthy", as in the incident. ``/status`` is all of it at
    once, without the stacks. A client with ``?preempt=1`` takes the seat of its own older session, or of the oldest one
    if none is free. A session that does not give way in time is ended.
    """

    has_keepalive = True
    """True if the library has a keepalive for this API."""

    def __init__(
        self, detector: Detector, stream: Stream, seats: Seats, session_limit: float, ping_interval: float | None
    ) -> None:
        """``session_limit``: seconds after which the pod closes a session; ``ping_interval``: of its keepalive."""
        self.detector = detector
        self.stream = stream
        self.session_limit = session_limit
        self._keepalive = _KEEPALIVE if ping_interval is None else {**_KEEPALIVE, "ping_interval": ping_interval}
        self._seats = seats
        self._routes: dict[str, Callable[[], Any]] = {
            "/sessions": seats.describe,
            "/pool": lambda: {"lockHeld": not seats.has_room()},
            "/healthz": lambda: {"status": "healthy"},
            "/threads": self.stacks,
            "/status": self._status,
        }

    def stacks(self) -> dict[str, list[str]]:
        """Return the stack of every thread or task by its name, innermost function first."""
        raise NotImplementedError

    def options(self, tls: ssl.SSLContext | None) -> dict[str, Any]:
        """Return keyword arguments for the library's ``serve``."""
        # Health checks that hang up without a request are not worth a traceback.
        logging.getLogger("websockets.server").setLevel(logging.CRITICAL)
        keepalive = self._keepalive if self.has_keepalive else {}
        own = {"process_request": self._answer, "compression": None, "ssl": tls}
        return {**own, **keepalive, **self.detector.serve_options()}

    def _status(self) -> dict[str, Any]:
        return {
            "sessions": self._seats.describe(),
            "lockHeld": not self._seats.has_room(),
            "status": "healthy",
            "threads": sorted(self.stacks()),
        }

    def _answer(self, _: object, request: Request) -> Response | None:
        route = self._routes.get(urlsplit(request.path).path)
        if route is None:
            return None
        body = json.dumps(route()).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}
        return Response(http.HTTPStatus.OK, "OK", Headers(headers), body)


class Pod(HttpPod):
    """The incident's server, with threads for each connection."""

    has_keepalive = _keepalive.there_is_one()

    def __init__(
        self, detector: Detector, stream: Stream, seats: int, session_limit: float, ping_interval: float | None
    ) -> None:
        """``session_limit``: seconds after which the pod closes a session; ``ping_interval``: of its keepalive."""
        self._registry = Registry(seats)
        super().__init__(detector, stream, self._registry, session_limit, ping_interval)

    def stacks(self) -> dict[str, list[str]]:
        """Return the stack of every thread by its name."""
        return stacks()

    def run(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Serve until interrupted; raises OSError if the port is taken."""
        with serve(self._handle, host, port, **self.options(tls)) as server, contextlib.suppress(KeyboardInterrupt):
            log("listening", host=host, port=server.socket.getsockname()[1], websockets=websockets_version)
            server.serve_forever()

    def _handle(self, connection: ServerConnection) -> None:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        session = PodSession(
            self._registry.next_id(), client_id(connection), connection, self.stream, self.session_limit
        )
        threading.current_thread().name = f"runner-{session.id}"
        with self._registry.seat(session, preempt=wants_to_preempt(connection)) as seated:
            if not seated:
                log("session_refused", client=session.client_id, reason="no_seat")
                connection.close(NO_SEAT, NO_SEAT_REASON)
                return
            log("session_opened", session=session.id, client=session.client_id)
            with self.detector.guard(session):
                session.run()


def _query(connection: Any) -> dict[str, list[str]]:
    request = connection.request
    return parse_qs(urlsplit(request.path).query) if request else {}


def wants_to_preempt(connection: Any) -> bool:
    """True if a client takes the seat of another session, its own or the oldest."""
    return "preempt" in _query(connection)


def client_id(connection: Any) -> str:
    """Return the client's own id, or its address, of a connection of either API."""
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
