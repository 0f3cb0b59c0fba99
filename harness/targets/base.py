"""The interface of all targets: a description, a way to start, and a report on their sessions."""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from halfopen.clients._messages import Endpoint
from halfopen.errors import FaultError
from halfopen.model.journal import Journal
from halfopen.netns.host import Host
from halfopen.netns.lab import Lab
from halfopen.netns.sockets import Address
from halfopen.spawn.process import Process
from halfopen.targets.container import Container

ANSWER_WITHIN = 2.0
"""Longest wait for a target's answer over HTTP, seconds."""
_MOST = 16 << 20


@dataclass(frozen=True, slots=True)
class Site:
    """Place and conditions of a target's run."""

    host: Host
    ip: str
    port: int
    journal: Journal
    ready_within: float
    """Seconds within which a server must listen."""
    keep_open: Sequence[Host] = ()
    edge_ip: str | None = None
    """Address of the proxy in front, if clients connect to one instead of the server; on the same port."""

    @property
    def public_ip(self) -> str:
        """The address that clients connect to."""
        return self.edge_ip or self.ip


@dataclass(frozen=True, slots=True)
class Caller:
    """A client, as a server's list of sessions may identify it."""

    client_id: str
    addresses: tuple[Address, ...]
    """Addresses from which it, or the proxy in between, reached the server; port 0 is any."""


@dataclass(frozen=True, slots=True)
class Status:
    """A target's report on itself at one moment; None for fields that it does not report."""

    sessions: list[Any] | None = None
    lock_held: bool | None = None
    healthy: bool | None = None
    session_threads: list[str] | None = None
    problem: str | None = None
    """Reason why it could not be queried."""

    def as_data(self) -> dict[str, Any]:
        """Return only the reported fields."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value is not None}


ServerProcess = Process | Container
"""The process that was started."""


@dataclass(frozen=True, slots=True)
class Running(abc.ABC):
    """A listening target."""

    process: ServerProcess
    site: Site
    authority: str | None
    """Certificate authority in PEM that clients must trust; None without TLS."""

    @abc.abstractmethod
    def endpoint(self, client_id: str, query: str = "", *, user: str = "") -> Endpoint:
        """Return the endpoint for a client; ``query`` is added to the URL's query.

        ``user`` is the name of the user that the client is for the server.
        """

    def url(self, path: str, *queries: str) -> str:
        """Return the URL that clients connect to, with additions to its query; empty ones are left out."""
        query = "&".join(filter(None, queries))
        scheme, mark = "ws" if self.authority is None else "wss", "&" if "?" in path else "?"
        return f"{scheme}://{self.site.public_ip}:{self.site.port}{path}{mark if query else ''}{query}"

    @abc.abstractmethod
    def status(self) -> Status:
        """Query its status."""

    def say(self, word: str) -> None:
        """Send it an order (halfopen.pod.__main__); raises FaultError if it takes none."""
        raise FaultError(f"a fault gives the server the order {word!r}, which only the built-in pod takes")

    def paused(self, by: str) -> contextlib.AbstractContextManager[None]:  # noqa: ARG002 (of those in a container)
        """Pause its container until the context is left; raises FaultError if it is in none.

        ``by`` is the method (halfopen.faults.pause).
        """
        raise FaultError("a fault pauses the server's container, and this server is in none; name one with --image")

    @property
    def prints_stacks(self) -> bool:
        """True if :meth:`show_stacks` makes it print something."""
        return False

    @abc.abstractmethod
    def show_stacks(self, inode: int) -> None:
        """Make the process that holds the socket with this inode print the stacks of its threads or tasks.

        A server without support prints nothing.
        """

    @abc.abstractmethod
    def session_listed(self, status: Status, caller: Caller) -> bool | None:
        """True if the status lists this client's session; None if the server keeps no list."""

    def get_json(self, path: str) -> Any:
        """Return the JSON at ``path``, or raise OSError or ValueError with the actual answer, within ANSWER_WITHIN.

        The request is made from inside the server's host.
        """
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
            answer = json.loads(body)
            msgspec.json.encode(answer)
        except RecursionError:
            raise ValueError(f"GET {path} answered JSON nested too deeply") from None
        return answer


@dataclass(frozen=True, slots=True)
class Place:
    """A host for a target, and the function to start it there once the host's links work."""

    host: Host
    start: Callable[[Site], contextlib.AbstractContextManager[Running]]
    """Starts it and waits until it listens; raises TargetError."""


class Target(abc.ABC):
    """A server that is started once per scenario, each time in a fresh host."""

    @property
    def fixed_port(self) -> int | None:
        """The port on which it always listens; None if it can be told any."""
        return None

    @abc.abstractmethod
    def describe(self) -> Mapping[str, str]:
        """Return ``kind``, and ``command`` or ``image``, for results.json."""

    @abc.abstractmethod
    def arguments(self) -> list[str]:
        """Return the command-line options that select it, except the pod's detector."""

    @abc.abstractmethod
    def check(self) -> None:
        """Raise InputError if it cannot be started as described."""

    @abc.abstractmethod
    def placed(self, lab: Lab, name: str, port: int, journal: Journal) -> contextlib.AbstractContextManager[Place]:
        """Find or create its host with this name, without links yet, until the context is left; raises TargetError."""


def _secured(sock: socket.socket, ip: str, authority: str | None) -> socket.socket:
    if authority is None:
        return sock
    return ssl.create_default_context(cafile=authority).wrap_socket(sock, server_hostname=ip)


def _read(sock: socket.socket, response: http.client.HTTPResponse, until: float, path: str) -> bytes:
    body = b""
    # From Python 3.13 on, the response closes itself, and the socket with it, once all of it is read.
    while not response.isclosed():
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"GET {path} was not answered whole within {ANSWER_WITHIN:g}s")
        sock.settimeout(left)
        chunk = response.read1(_MOST)
        if not chunk:  # Python 3.11 does not close it at its end
            break
        body += chunk
        if len(body) > _MOST:
            raise ValueError(f"GET {path} answered more than {_MOST >> 20} MiB")
    return body
