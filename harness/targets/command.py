"""Any command as the server under test, unmodified and in any language."""

from __future__ import annotations

import contextlib
import http.client
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from harness.errors import FaultError, InputError
from harness.process import Process
from harness.targets.base import Door, HttpProbe, Site, Status, listening, with_query


@dataclass(frozen=True, slots=True)
class RunningCommand:
    """A server that listens."""

    process: Process
    site: Site
    path: str
    sessions_path: str | None

    def door(self, _client_id: str, query: str = "") -> Door:
        """The same for every client: an unknown server is told nothing it did not ask for."""
        return Door(with_query(f"ws://{self.site.public}{self.path}", query))

    def status(self) -> Status:
        """Its session list, if there is one."""
        if self.sessions_path is None:
            return Status()
        try:
            sessions = HttpProbe(self.site).get_json(self.sessions_path)
        except (OSError, ValueError, http.client.HTTPException) as error:
            return Status(problem=f"the session list could not be read: {error}")
        if not isinstance(sessions, list):
            return Status(problem=f"GET {self.sessions_path} is no JSON array but {type(sessions).__name__}")
        return Status(sessions=sessions)

    def say(self, word: str) -> None:
        """Nobody's server takes our orders."""
        raise FaultError(f"a fault gives the server the order {word!r}, which only the built-in pod takes")

    def session_listed(self, status: Status, _client_id: str) -> bool | None:
        """Whether anything is listed: the scenario's client is the only one there is."""
        return None if status.sessions is None else bool(status.sessions)


@dataclass(frozen=True, slots=True)
class CommandTarget:
    """A command line in which ``{host}`` and ``{port}`` are filled in."""

    command: str
    path: str = "/"
    sessions_path: str | None = None
    kind: str = "command"

    def check(self) -> None:
        """Raise InputError if this is no command line."""
        self._words("127.0.0.1", 1)

    def _words(self, host: str, port: int) -> list[str]:
        try:
            words = shlex.split(self.command)
        except ValueError as error:
            raise InputError(f"--server is no command line: {self.command!r} ({error})".lower()) from None
        if not words:
            raise InputError("--server is empty; write the server's command, with {host} and {port} in it")
        # Not str.format: a command may well hold other braces, JSON for one.
        return [word.replace("{host}", host).replace("{port}", str(port)) for word in words]

    def arguments(self) -> list[str]:
        """The options that were given."""
        words = ["--server", self.command]
        if self.path != "/":
            words += ["--path", self.path]
        if self.sessions_path is not None:
            words += ["--sessions", self.sessions_path]
        return words

    def describe(self) -> dict[str, str]:
        """For results.json."""
        return {"kind": self.kind, "command": self.command}

    @contextlib.contextmanager
    def start(self, site: Site) -> Iterator[RunningCommand]:
        """Start the command and wait until it listens."""

        def on_line(line: str) -> None:
            site.journal.note("target", "output", text=line)

        with listening(site, self._words(site.ip, site.port), on_line) as process:
            yield RunningCommand(process, site, self.path, self.sessions_path)
