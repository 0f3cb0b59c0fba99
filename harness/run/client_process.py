"""The client of a scenario: a process that connects. Everything it reports goes into the journal."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from halfopen.clients._behaviour import AUTOTUNED_FROM
from halfopen.clients._messages import CrowdOrder, Endpoint
from halfopen.errors import FaultError
from halfopen.model.journal import Journal
from halfopen.netns.host import Host
from halfopen.netns.sockets import Address
from halfopen.scenario.spec import CROWD, ClientSpec
from halfopen.spawn.process import Process, Program, running
from halfopen.targets.base import ServerProcess

#: Bytes that a socket keeps under memory pressure: the kernel's own value (tcp_rmem, tcp(7)).
_LEAST_BUFFER = 4096
#: Seconds between checks that the process still runs.
_LOOK = 0.5
#: Events by which a client reports that there will be no session.
_FAILURES = ("refused", "unanswered", "unreachable")
#: Seconds after which a client that has not opened its session is given up.
_CONNECT_WITHIN = 100.0
#: Seconds within which a server that dies with its first client has exited.
_ENDS_WITHIN = 0.5
_STEP = 0.02


class NoSessionError(FaultError):
    """A client gets no session."""


@dataclass(frozen=True, slots=True)
class ClientProcess:
    """A running client. Satisfies halfopen.faults._scene.ProcessHandle."""

    process: Process
    journal: Journal
    kind: str = "client"
    """Kind of its events in the journal."""

    @property
    def pid(self) -> int:
        """Process id."""
        return self.process.pid

    def say(self, word: str) -> None:
        """Send the client an order."""
        self.process.write(f"{word}\n")

    def wait_for(self, name: str, timeout: float) -> Mapping[str, Any]:
        """Wait for its event ``name``; raises TimeoutError after ``timeout`` seconds."""
        event = self.journal.wait_for(self.kind, name, until=time.monotonic() + timeout)
        if event is None:
            raise TimeoutError(f"the {self.kind} did not say {name!r} within {timeout:g}s")
        return event.data

    def connect(self) -> Address:
        """Wait until the session is open. Return its local address. Raises NoSessionError."""
        words = ("opened", *_FAILURES)
        until = time.monotonic() + _CONNECT_WITHIN
        event = None
        while event is None and self.process.exit_code is None and time.monotonic() < until:
            event = self.journal.wait_for(self.kind, *words, until=time.monotonic() + _LOOK)
        event = event or self.journal.find(self.kind, *words)
        if event is None:
            code = self.process.exit_code
            said = f"ended with exit code {code}: {self.process.tail()}" if code is not None else "said nothing"
            raise NoSessionError(f"the {self.kind} {said} within {_CONNECT_WITHIN:g}s")
        if event.name != "opened":
            raise NoSessionError(f"the {self.kind} was {event.name}: {event.data.get('why') or event.data}")
        connected = self.journal.find(self.kind, "connected")
        assert connected is not None
        return Address(*connected.data["local"])

    def note_unopened(self, server: ServerProcess, why: str) -> str:
        """Note why there is no session, unless the client reported it, and return that: maybe the server exited."""
        connected = self.journal.find(self.kind, "connected")
        self.journal.start = self.journal.start if connected is None else connected.t
        # A server that died during the handshake is seen to exit a moment after its connections close.
        if _ends_soon(server):
            code, said = server.exit_code, server.tail()
            self.journal.note("target", "exited", code=code, said=said)
            return f"the server ended with exit code {code}: {said}"
        if self.journal.find(self.kind, *_FAILURES) is None:
            self.journal.note("lab", "trouble", what=why)
        return why


def _ends_soon(server: ServerProcess) -> bool:
    until = time.monotonic() + _ENDS_WITHIN
    while server.exit_code is None and time.monotonic() < until:
        time.sleep(_STEP)
    return server.exit_code is not None


@contextlib.contextmanager
def client(
    host: Host,
    spec: ClientSpec,
    first: Endpoint | CrowdOrder,
    journal: Journal,
    keep_open: Sequence[Host],
    kind: str = "client",
) -> Iterator[ClientProcess]:
    """Run a client, or a crowd, in ``host`` until the context is left. ``first`` is its first line."""

    def on_line(line: str) -> None:
        fields = json.loads(line)
        journal.note(kind, fields.pop("name"), at=fields.pop("t"), **fields)

    def on_error(line: str) -> None:
        journal.note(kind, "output", text=line, stream="stderr")

    if (most := spec.parsed.autotune_to) is not None:
        host.sysctl("net.ipv4.tcp_rmem", f"{_LEAST_BUFFER} {AUTOTUNED_FROM} {most}")
    # -P: a folder called harness in the user's current directory must not shadow ours.
    command = [sys.executable, "-P", "-m", "halfopen.clients", spec.behaviour, json.dumps(spec.options)]
    command += [CROWD] if isinstance(first, CrowdOrder) else []
    with running(host, Program(command), on_line, on_error, keep_open=keep_open) as process:
        # Not an argument: execve(2) takes none above 128 KiB (MAX_ARG_STRLEN), and what a client sends may be longer.
        process.write(f"{msgspec.json.encode(first).decode()}\n")
        yield ClientProcess(process, journal, kind)
