"""What every target has: a description, a way to start, and what it says of its sessions."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from halfopen.clients._door import Door
from halfopen.errors import FaultError
from halfopen.model.journal import Journal
from halfopen.netns.host import Host
from halfopen.netns.lab import Lab
from halfopen.netns.sockets import Address
from halfopen.scenario.target_spec import TargetSpec

ANSWER_WITHIN = 2.0
"""The most seconds that a target's answer over HTTP is waited for."""
_MOST = 16 << 20


@dataclass(frozen=True, slots=True)
class Site:
    """Where a target is to run, and how."""

    host: Host
    ip: str
    port: int
    journal: Journal
    ready_within: float
    """Seconds a server may take until it listens."""
    keep_open: Sequence[Host] = ()
    edge_ip: str | None = None
    """Where clients connect if it is not the server itself: the address of the proxy before it, on the same port."""

    @property
    def public_ip(self) -> str:
        """The address that clients connect to."""
        return self.edge_ip or self.ip

    @property
    def public(self) -> str:
        """The address and port that clients connect to, as in a URL."""
        return f"{self.public_ip}:{self.port}"


@dataclass(frozen=True, slots=True)
class Caller:
    """A client, as a server's list of sessions may name it."""

    client_id: str
    addresses: tuple[Address, ...]
    """From where it, or the proxy in between, reached the server; port 0 is any."""


@dataclass(frozen=True, slots=True)
class Status:
    """What a target says of itself at one moment; None for what it says nothing about."""

    sessions: list[Any] | None = None
    lock_held: bool | None = None
    healthy: bool | None = None
    session_threads: list[str] | None = None
    problem: str | None = None
    """Why it could not be asked."""

    def as_data(self) -> dict[str, Any]:
        """Only what was said."""
        fields = (
            ("sessions", self.sessions),
            ("lock_held", self.lock_held),
            ("healthy", self.healthy),
            ("session_threads", self.session_threads),
            ("problem", self.problem),
        )
        return {name: value for name, value in fields if value is not None}


def with_query(url: str, query: str) -> str:
    """The URL with something more to ask for."""
    return f"{url}{'&' if '?' in url else '?'}{query}" if query else url


def door_of(spec: TargetSpec, url: str, authority: str | None = None) -> Door:
    """The door at ``url`` to the server that a user described."""
    return Door(
        url=url,
        authority=authority,
        subprotocols=spec.subprotocols,
        headers=spec.headers,
        send=spec.send,
        replies=spec.replies,
        # What nobody reads fills a server's receive queue, and then it hears no pong either.
        acknowledge=spec.acknowledge or "",
    )


class ServerProcess(Protocol):
    """What was started."""

    @property
    def pid(self) -> int:
        """Its process id; raises FaultError if it has none that means anything in the lab."""
        ...

    @property
    def exit_code(self) -> int | None:
        """The exit code, None while it runs."""
        ...

    def tail(self) -> str:
        """The last line with anything on it that it printed."""
        ...


class Running(Protocol):
    """A target that listens."""

    @property
    def process(self) -> ServerProcess:
        """The server's process."""
        ...

    def door(self, client_id: str, query: str = "") -> Door:
        """Where a client connects; ``query`` is added to what the URL asks for."""
        ...

    def status(self) -> Status:
        """Ask it."""
        ...

    def say(self, word: str) -> None:
        """Give it an order (halfopen.pod.control); raises FaultError if it takes none."""
        ...

    def paused(self, by: str) -> contextlib.AbstractContextManager[None]:
        """Have its container paused until the context is left; raises FaultError if it is in none.

        ``by`` is how (halfopen.faults.pause).
        """
        ...

    def show_stacks(self, inode: int) -> None:
        """Have it print where the threads or tasks are of the process that holds the socket with this inode.

        A server that cannot be asked prints nothing.
        """
        ...

    def session_listed(self, status: Status, caller: Caller) -> bool | None:
        """Whether the status lists this client's session; None if the server keeps no list."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """A host for a target, and how to start it there once the host's links lead somewhere."""

    host: Host
    start: Callable[[Site], contextlib.AbstractContextManager[Running]]
    """Starts it and waits until it listens; raises TargetError."""


class Target(Protocol):
    """A server to be started once a scenario, each time in a fresh host."""

    @property
    def fixed_port(self) -> int | None:
        """The port that it listens on whatever it is told; None: any that it is told."""
        ...

    def describe(self) -> Mapping[str, str]:
        """``kind``, and ``command`` or ``image``, for results.json."""
        ...

    def arguments(self) -> list[str]:
        """The command-line options that name it."""
        ...

    def check(self) -> None:
        """Raise InputError if it cannot be started as described."""
        ...

    def placed(self, lab: Lab, name: str, port: int, journal: Journal) -> contextlib.AbstractContextManager[Place]:
        """Find or make it a host of this name, without links yet, until the context is left; raises TargetError."""
        ...


def not_in_a_container() -> contextlib.AbstractContextManager[None]:
    """What servers answer that are to be paused and cannot be; raises FaultError."""
    raise FaultError("a fault pauses the server's container, and this server is in none; name one with --image")


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """Asks a server in a host over HTTP, from inside that host."""

    site: Site
    authority: str | None = None
    """As of a :class:`Door`."""

    def get_json(self, path: str) -> Any:
        """The JSON at ``path``; raises OSError or ValueError with what came instead, ANSWER_WITHIN at the latest."""
        until = time.monotonic() + ANSWER_WITHIN
        connection = http.client.HTTPConnection(self.site.ip, self.site.port)
        with (
            self.site.host.connect((self.site.ip, self.site.port), ANSWER_WITHIN) as plain,
            _secured(plain, self.site.ip, self.authority) as sock,
            contextlib.closing(connection),
        ):
            connection.sock = sock
            connection.request("GET", path)
            response = connection.getresponse()
            body = _read(sock, response, until, path)
        if response.status != http.HTTPStatus.OK:
            raise ValueError(f"GET {path} answered {response.status}")
        try:
            found = json.loads(body)
            msgspec.json.encode(found)
        except RecursionError:
            raise ValueError(f"GET {path} answered JSON nested too deeply") from None
        return found


def _secured(sock: socket.socket, ip: str, authority: str | None) -> socket.socket:
    if authority is None:
        return sock
    return ssl.create_default_context(cafile=authority).wrap_socket(sock, server_hostname=ip)


def _read(sock: socket.socket, response: http.client.HTTPResponse, until: float, path: str) -> bytes:
    body = b""
    # From Python 3.13 on it closes itself, and the socket with it, once all of it is read.
    while not response.isclosed():
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"GET {path} was not answered whole within {ANSWER_WITHIN:g}s")
        sock.settimeout(left)
        chunk = response.read1(_MOST)
        if not chunk:  # Python 3.11 does not call it closed at its end
            break
        body += chunk
        if len(body) > _MOST:
            raise ValueError(f"GET {path} answered more than {_MOST >> 20} MiB")
    return body
