"""Any command as the server under test, unmodified and in any language."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass

from halfopen.clients._messages import Endpoint
from halfopen.errors import FaultError
from halfopen.model.journal import Journal
from halfopen.netns.lab import Lab
from halfopen.scenario.target_spec import TargetSpec, split
from halfopen.spawn.process import Program
from halfopen.targets import session_list, tls
from halfopen.targets.base import (
    Caller,
    HttpProbe,
    Place,
    ServerProcess,
    Site,
    Status,
    endpoint_of,
    not_in_a_container,
    with_query,
)
from halfopen.targets.readiness import listening
from halfopen.targets.session_list import NoListError
from halfopen.targets.tls import Certificate

#: Seconds without output after which a server has printed all its stacks ...
_QUIET = 0.3
#: ... and seconds after which it will not print any.
_ANSWERED_WITHIN = 3.0


@dataclass(frozen=True, slots=True)
class RunningCommand:
    """A listening server."""

    process: ServerProcess
    site: Site
    spec: TargetSpec
    authority: str | None = None

    def endpoint(self, _client_id: str, query: str = "") -> Endpoint:
        """Return the same endpoint for every client: an unknown server gets no extra information."""
        scheme = "ws" if self.authority is None else "wss"
        url = with_query(f"{scheme}://{self.site.public}{self.spec.path}", query)
        return endpoint_of(self.spec, url, self.authority)

    def status(self) -> Status:
        """Return its session list, if there is one."""
        if self.spec.sessions is None:
            return Status()
        try:
            answer = HttpProbe(self.site, self.authority).get_json(self.spec.sessions)
            return Status(sessions=session_list.sessions(answer, self.spec))
        except NoListError as error:
            return Status(problem=str(error))
        except (OSError, ValueError, http.client.HTTPException) as error:
            return Status(problem=f"the session list could not be read: {error}")

    def show_stacks(self, inode: int) -> None:
        """Send the signal that makes it print its stacks; the journal records them as its output."""
        pids = self.site.host.holders(inode) if self.spec.stacks is not None else []
        for pid in pids:
            self.site.journal.note("target", "stacks_asked", pid=pid)
            os.kill(pid, signal.Signals[str(self.spec.stacks)])
        if pids:
            self.await_stacks()

    def await_stacks(self) -> None:
        """Wait until a server that prints its stacks is quiet."""
        self.site.journal.wait_for_quiet("target", "output", _QUIET, _ANSWERED_WITHIN)

    def say(self, word: str) -> None:
        """Raise FaultError: only the pod takes orders."""
        raise FaultError(f"a fault gives the server the order {word!r}, which only the built-in pod takes")

    def paused(self, _by: str) -> contextlib.AbstractContextManager[None]:
        """Raise FaultError: it is in no container."""
        return not_in_a_container()

    def session_listed(self, status: Status, caller: Caller) -> bool | None:
        """True if this client is listed. If no field identifies clients, true if any session is."""
        if status.sessions is None:
            return None
        return session_list.lists(status.sessions, self.spec.sessions_field, caller)


@dataclass(frozen=True, slots=True)
class CommandTarget:
    """A command line with placeholders ``{host}`` and ``{port}``, and with TLS ``{cert}`` and ``{key}``."""

    spec: TargetSpec
    kind: str = "command"

    def check(self) -> None:
        """Raise InputError if this is no command line."""
        split(self._command)

    @property
    def _command(self) -> str:
        assert self.spec.server is not None
        return self.spec.server

    def _words(self, host: str, port: int, certificate: Certificate | None = None) -> list[str]:
        blanks = {"{host}": host, "{port}": str(port)}
        if certificate is not None:
            blanks |= {"{cert}": str(certificate.chain), "{key}": str(certificate.key)}
        return [filled_in(word, blanks) for word in split(self._command)]

    def arguments(self) -> list[str]:
        """Return the options that were given."""
        return self.spec.arguments()

    def describe(self) -> dict[str, str]:
        """Return the fields for results.json."""
        return {"kind": self.kind, "command": self._command}

    @property
    def fixed_port(self) -> int | None:
        """The port given by the user."""
        return self.spec.port

    @contextlib.contextmanager
    def placed(self, lab: Lab, name: str, _port: int, _journal: Journal) -> Iterator[Place]:
        """Create a host."""
        yield Place(lab.host(name), self.start)

    @contextlib.contextmanager
    def start(self, site: Site) -> Iterator[RunningCommand]:
        """Start the command and wait until it listens."""

        def on_line(line: str) -> None:
            site.journal.note("target", "output", text=line)

        def on_error(line: str) -> None:
            site.journal.note("target", "output", text=line, stream="stderr")

        with contextlib.ExitStack() as until_done:
            # Ends all its descendants too, even those that escaped from it.
            until_done.callback(site.host.kill_all)
            certificate = until_done.enter_context(tls.certified(site.public_ip)) if self.spec.tls else None
            words = self._words(site.ip, site.port, certificate)
            program = Program(words, self.spec.folder, self.spec.environment)
            process = until_done.enter_context(listening(site, program, on_line, on_error))
            yield RunningCommand(process, site, self.spec, str(certificate.authority) if certificate else None)


def filled_in(word: str, blanks: dict[str, str]) -> str:
    """Return the text with the words in braces that are in ``blanks`` replaced, and no others."""
    # Not str.format: a command may contain other braces, such as JSON.
    for blank, value in blanks.items():
        word = word.replace(blank, value)
    return word
