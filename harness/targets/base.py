"""What every target has: a description, a way to start, and what it says of its sessions."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from harness.clients._door import Door
from harness.errors import TargetError
from harness.journal import Journal
from harness.process import OnLine, Process, Program, running
from harness.target_spec import TargetSpec
from netns.host import Host
from netns.sockets import Address, SocketReader

_STEP = 0.02
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
    said = {} if spec.acknowledge is None else {"acknowledge": spec.acknowledge}
    return Door(
        url=url,
        authority=authority,
        subprotocols=spec.subprotocols,
        headers=spec.headers,
        send=spec.send,
        replies=spec.replies,
        **said,
    )


class Running(Protocol):
    """A target that listens."""

    @property
    def process(self) -> Process:
        """The server's process."""
        ...

    def door(self, client_id: str, query: str = "") -> Door:
        """Where a client connects; ``query`` is added to what the URL asks for."""
        ...

    def status(self) -> Status:
        """Ask it."""
        ...

    def say(self, word: str) -> None:
        """Give it an order (harness.pod.control); raises FaultError if it takes none."""
        ...

    def show_stacks(self, inode: int) -> None:
        """Have it print where the threads or tasks are of the process that holds the socket with this inode.

        A server that cannot be asked prints nothing.
        """
        ...

    def session_listed(self, status: Status, caller: Caller) -> bool | None:
        """Whether the status lists this client's session; None if the server keeps no list."""
        ...


class Target(Protocol):
    """A server to be started once a scenario, each time in a fresh host."""

    def describe(self) -> Mapping[str, str]:
        """``kind``, and ``command`` or ``image``, for results.json."""
        ...

    def arguments(self) -> list[str]:
        """The command-line options that name it."""
        ...

    def check(self) -> None:
        """Raise InputError if it cannot be started as described."""
        ...

    def start(self, site: Site) -> contextlib.AbstractContextManager[Running]:
        """Start it and wait until it listens; raises TargetError."""
        ...


@contextlib.contextmanager
def listening(site: Site, program: Program, on_line: OnLine, on_error: OnLine | None = None) -> Iterator[Process]:
    """Run ``program`` and wait until something listens on the site's port; raises TargetError.

    ``on_line`` is called with each line of its output, ``on_error`` with each that it prints of its troubles.
    """
    shown = " ".join(program.words)
    with contextlib.ExitStack() as until_done:
        try:
            process = until_done.enter_context(running(site.host, program, on_line, on_error, keep_open=site.keep_open))
        except FileNotFoundError as error:
            raise TargetError(f"cannot start the server: no such program: {error.filename!r}, in {shown!r}") from None
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise TargetError(f"cannot start the server: {program.words[0]!r}: {why}, in {shown!r}") from None
        _await_listening(site, process, shown)
        yield process


def _await_listening(site: Site, process: Process, shown: str) -> None:
    deadline = time.monotonic() + site.ready_within
    with contextlib.closing(site.host.socket_reader()) as reader:
        while not (addresses := reader.listening(site.port)):
            if process.exit_code is not None:
                raise TargetError(_ended(site, process, shown))
            if time.monotonic() >= deadline:
                raise TargetError(_not_ready(site, shown, reader) + _said(process))
            time.sleep(_STEP)
    if all(address.ip.startswith("127.") or address.ip == "::1" for address in addresses):
        raise TargetError(
            f"the server listens on {addresses[0]} only, where no client reaches it: {shown!r}; "
            "use {host} in the command"
        )


def _ended(site: Site, process: Process, shown: str) -> str:
    if not process.exit_code and (left := site.host.processes()):
        return (
            f"the server's command ended and left {len(left)} process{'es' * (len(left) > 1)} behind before anything "
            f"listened: {shown!r}; give it the option that keeps it in the foreground{_said(process)}"
        )
    return f"the server ended with exit code {process.exit_code} before it listened: {shown!r}{_said(process)}"


def _not_ready(site: Site, shown: str, reader: SocketReader) -> str:
    elsewhere = sorted({address.port for address in reader.listening()})
    found = f", but on port {', '.join(map(str, elsewhere))}" if elsewhere else ""
    return (
        f"the server does not listen on port {site.port} after {site.ready_within:g}s{found}: "
        f"{shown!r}; use {{port}} in the command, or give it more time with --ready"
    )


def _said(process: Process) -> str:
    return f"; it said: {process.tail()}" if process.tail() else ""


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
