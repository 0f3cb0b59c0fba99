"""What every target has: a description, a way to start, and what it says of its sessions."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from harness.errors import TargetError
from harness.journal import Journal
from harness.process import Process, running
from netns.host import Host

_STEP = 0.02
_HTTP_TIMEOUT = 5.0


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


class Running(Protocol):
    """A target that listens."""

    @property
    def process(self) -> Process:
        """The server's process."""
        ...

    def url(self, client_id: str) -> str:
        """Where a client connects."""
        ...

    def status(self) -> Status:
        """Ask it."""
        ...

    def session_listed(self, status: Status, client_id: str) -> bool | None:
        """Whether the status lists this client's session; None if it lists none at all."""
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
def listening(site: Site, command: Sequence[str], on_line: Any) -> Iterator[Process]:
    """Run ``command`` and wait until something listens on the site's port; raises TargetError."""
    shown = " ".join(command)
    try:
        started = running(site.host, command, on_line, keep_open=site.keep_open)
        with started as process:
            _await_listening(site, process, shown)
            yield process
    except FileNotFoundError as error:
        raise TargetError(f"cannot start the server: no such program: {error.filename!r}, in {shown!r}") from None
    except PermissionError as error:
        raise TargetError(f"cannot start the server: {error.filename!r} may not be run, in {shown!r}") from None


def _await_listening(site: Site, process: Process, shown: str) -> None:
    deadline = time.monotonic() + site.ready_within
    with contextlib.closing(site.host.socket_reader()) as reader:
        while not reader.listening(site.port):
            if process.exit_code is not None:
                said = f"; it said: {process.tail()}" if process.tail() else ""
                raise TargetError(
                    f"the server ended with exit code {process.exit_code} before it listened: {shown!r}{said}"
                )
            if time.monotonic() >= deadline:
                elsewhere = sorted({address.port for address in reader.listening()})
                found = f", but on port {', '.join(map(str, elsewhere))}" if elsewhere else ""
                said = f"; it said: {process.tail()}" if process.tail() else ""
                raise TargetError(
                    f"the server does not listen on port {site.port} after {site.ready_within:g}s{found}: "
                    f"{shown!r}; use {{port}} in the command, or give it more time with --ready{said}"
                )
            time.sleep(_STEP)


@dataclass
class HttpProbe:
    """Asks a server in a host over HTTP, from inside that host."""

    site: Site
    timeout: float = field(default=_HTTP_TIMEOUT)

    def get_json(self, path: str) -> Any:
        """The JSON at ``path``; raises OSError or ValueError with what came instead."""
        connection = http.client.HTTPConnection(self.site.ip, self.site.port, timeout=self.timeout)
        connection.sock = self.site.host.connect((self.site.ip, self.site.port), self.timeout)
        with contextlib.closing(connection):
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
        if response.status != http.HTTPStatus.OK:
            raise ValueError(f"GET {path} answered {response.status}")
        return json.loads(body)
