"""Any command as the server under test, unmodified and in any language."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

import halfopen
from halfopen.clients._messages import Endpoint
from halfopen.model.journal import Journal
from halfopen.netns.lab import Lab
from halfopen.netns.units import plain
from halfopen.scenario.target_spec import TargetSpec, split
from halfopen.spawn.process import OnLine, Program
from halfopen.targets import session_list, tls
from halfopen.targets.base import Caller, Place, Running, Site, Status, Target
from halfopen.targets.readiness import listening
from halfopen.targets.session_list import NoListError
from halfopen.targets.tls import Certificate

#: Placeholder for the name of the user that a client is, in the path, headers and messages.
USER = "{client}"
#: The folder from which this package was imported.
_SOURCES = Path(halfopen.__file__).parent.parent
#: Seconds without output after which a server has printed all its stacks ...
_QUIET = 0.3
#: ... and seconds after which it will not print any.
_ANSWERED_WITHIN = 3.0


@dataclass(frozen=True, slots=True)
class RunningCommand(Running):
    """A listening server."""

    spec: TargetSpec

    def endpoint(self, _client_id: str, query: str = "", *, user: str = "") -> Endpoint:
        """Return the endpoint for a user. A server gets no extra information, unless ``{client}`` asks for it."""
        blanks = {USER: user}
        spec = msgspec.structs.replace(
            self.spec,
            headers={name: filled_in(value, blanks) for name, value in self.spec.headers.items()},
            send=tuple(filled_in(text, blanks) for text in self.spec.send),
        )
        return endpoint_of(spec, self.url(filled_in(spec.path, blanks), query), self.authority)

    def status(self) -> Status:
        """Return its session list, if there is one."""
        if self.spec.sessions is None:
            return Status()
        try:
            return Status(sessions=session_list.sessions(self.get_json(self.spec.sessions), self.spec))
        except NoListError as error:
            return Status(problem=str(error))
        except (OSError, ValueError, http.client.HTTPException) as error:
            return Status(problem=f"the session list could not be read: {error}")

    @property
    def prints_stacks(self) -> bool:
        """True if a signal for it is known."""
        return self.spec.stacks is not None

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
        self.site.journal.wait_for_quiet(_QUIET, _ANSWERED_WITHIN)

    def session_listed(self, status: Status, caller: Caller) -> bool | None:
        """True if this client is listed. If no field identifies clients, true if any session is."""
        if status.sessions is None:
            return None
        return session_list.lists(status.sessions, self.spec.sessions_field, caller)


@dataclass(frozen=True, slots=True)
class CommandTarget(Target):
    """A command line with placeholders ``{host}`` and ``{port}``, and with TLS ``{cert}`` and ``{key}``."""

    spec: TargetSpec
    guard: tuple[str, ...] = ()
    """Words in front of the command, of :func:`guard_words`."""

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
        return {"kind": "command", "command": self._command, **({"guard": "halfopen"} if self.guard else {})}

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
        with contextlib.ExitStack() as until_done:
            certificate = until_done.enter_context(tls.certified(site.public_ip)) if self.spec.tls else None
            words = self._words(site.ip, site.port, certificate)
            program = Program([*self.guard, *words], self.spec.folder, self.spec.environment)
            process = until_done.enter_context(listening(site, program, *output_notes(site.journal), alone=True))
            authority = str(certificate.authority) if certificate else None
            yield RunningCommand(process, site, authority, self.spec)


def guard_words(grace: float, poll: float) -> tuple[str, ...]:
    """Return the start of a command line that guards the command after it; ``grace`` and ``poll`` in seconds.

    The command's environment may hide this package from its Python (PYTHONPATH), so the guard gets the folder itself.
    """
    script = f"import sys; sys.path.insert(0, {str(_SOURCES)!r}); from halfopen.cli.quick import main; main()"
    options = ("guard", "--grace", f"{plain(grace)}s", "--poll", f"{plain(poll)}s", "--")
    return (sys.executable, "-I", "-c", script, *options)


def endpoint_of(spec: TargetSpec, url: str, authority: str | None = None) -> Endpoint:
    """Return the endpoint at ``url`` to the server that a user described."""
    return Endpoint(
        url=url,
        authority=authority,
        subprotocols=spec.subprotocols,
        headers=spec.headers,
        send=spec.send,
        replies=spec.replies,
        # Unread messages fill a server's receive queue, and then it receives no pong either.
        acknowledge=spec.acknowledge or "",
    )


def filled_in(word: str, blanks: dict[str, str]) -> str:
    """Return the text with the words in braces that are in ``blanks`` replaced, and no others."""
    # Not str.format: a command may contain other braces, such as JSON.
    for blank, value in blanks.items():
        word = word.replace(blank, value)
    return word


def output_notes(journal: Journal) -> tuple[OnLine, OnLine]:
    """Return functions that note a line of a server's output, and of its standard error."""
    note = partial(journal.note, "target", "output")
    return lambda line: note(text=line), lambda line: note(text=line, stream="stderr")
