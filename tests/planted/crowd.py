"""Stream to the sessions of several users, with one bug: ``python crowd.py HOST PORT BUG``.

A user (``?client=NAME``) has one session. Whoever comes back ends his older one. A watchdog reaps dead clients. The
bugs are the ways in which one dead client hurts others. ``none`` has no bug. /sessions lists the sessions.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from urllib.parse import parse_qs, urlsplit

from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from halfopen.liveness.death import end
from halfopen.pod.watchdog import Judge, StallRule, Watchdog

GRACE, POLL = 30.0, 2.0
SLICE = bytes(16 * 1024)
INTERVAL = 0.2


class Crowd:
    """The sessions in the order in which they came, each with its user's name."""

    def __init__(self, bug: str) -> None:
        self.bug = bug
        self.sessions: dict[ServerConnection, str] = {}
        self.users: set[str] = set()
        self._freed = threading.Condition()
        self._sending = threading.Lock()

    def admit(self, user: str, connection: ServerConnection) -> bool:
        """List a session; False if the user is to be refused."""
        with self._freed:
            if user in self.users and self.bug == "keeps_ghost":
                return False
            others = [other for other, name in self.sessions.items() if name == user]
            for other in [] if self.bug == "lets_both_live" else others:
                end(other.socket, "reset")
                self._freed.wait_for(lambda other=other: other not in self.sessions)  # type: ignore[misc]
            self.sessions[connection] = user
            self.users.add(user)
            return True

    def leave(self, connection: ServerConnection) -> None:
        """Strike a session off the list, once its thread is done with it."""
        with self._freed:
            user = self.sessions.pop(connection)
            # The ghost: only a user who closes properly is forgotten.
            if self.bug != "keeps_ghost" or connection.protocol.close_rcvd is not None:
                self.users.discard(user)
            self._freed.notify_all()

    def watch(self, connection: ServerConnection) -> contextlib.AbstractContextManager[object]:
        """Reap the client if it is dead, while the context is entered."""
        if self.bug == "closes_wrong_descriptor":
            threading.Thread(target=self._watch_wrongly, args=(connection,), daemon=True).start()
            return contextlib.nullcontext()
        return Watchdog(connection.socket, lambda _: None, grace=GRACE, poll=POLL, reap="reset")

    def _watch_wrongly(self, connection: ServerConnection) -> None:
        judge = Judge(connection.socket, StallRule(time.monotonic()), GRACE, POLL)
        while judge.look() is None:
            time.sleep(judge.wait)
        wrong = [other for other in self.sessions if other is not connection]
        if connection in self.sessions and wrong:
            end(wrong[0].socket, "reset")

    def publish(self) -> None:
        """Send each slice to one session after the other, and wait for each."""
        while True:
            for connection in list(self.sessions):
                with contextlib.suppress(ConnectionClosed, OSError):
                    connection.send(SLICE)
            time.sleep(INTERVAL)

    def stream(self, connection: ServerConnection) -> None:
        """Send slices to one session."""
        with contextlib.suppress(ConnectionClosed, OSError):
            while True:
                with self._sending if self.bug == "locks_while_sending" else contextlib.nullcontext():
                    connection.send(SLICE)
                time.sleep(INTERVAL)

    def handle(self, connection: ServerConnection) -> None:
        """Serve one session."""
        assert connection.request is not None
        user = parse_qs(urlsplit(connection.request.path).query)["client"][0]
        if not self.admit(user, connection):
            connection.close(4409, "you are connected already")
            return
        try:
            if self.bug != "sends_in_turn":
                threading.Thread(target=self.stream, args=(connection,), daemon=True).start()
            with self.watch(connection), contextlib.suppress(ConnectionClosed):
                for _message in connection:
                    pass
        finally:
            self.leave(connection)

    def answer(self, _: ServerConnection, request: Request) -> Response | None:
        """Return the list of sessions, if that is asked for."""
        if urlsplit(request.path).path != "/sessions":
            return None
        listed = [{"peer": list(connection.remote_address)} for connection in list(self.sessions)]
        body = json.dumps(listed).encode()
        return Response(200, "OK", Headers({"Content-Length": str(len(body)), "Connection": "close"}), body)


def main() -> None:
    host, port, bug = sys.argv[1:]
    crowd = Crowd(bug)
    if bug == "sends_in_turn":
        threading.Thread(target=crowd.publish, daemon=True).start()
    with serve(crowd.handle, host, int(port), process_request=crowd.answer, ping_interval=None) as server:
        server.serve_forever()


main()
