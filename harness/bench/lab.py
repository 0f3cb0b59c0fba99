"""What a test has of the lab: servers, clients that things are done to, sessions of which one asks what became."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import pytest

from harness.bench.channel import Channel
from harness.bench.messages import Answer, Begin, Connect, Look, Made, Opening, Question, Seen, Serve, Tell, Told, Undo

#: Faults that :meth:`Client.heal` undoes.
_OF_THE_PATH = ("cut", "impair")


@dataclass(frozen=True)
class Settings:
    """What a test's marker, the command line and pytest's configuration say of its lab."""

    name: str
    seed: int
    clock: str
    grace: str
    poll: str
    marked_server: str | None
    """A command of the test's own."""
    server: str | None
    target: str | None
    link: Mapping[str, Any]
    test_file: Path
    """Beside it, a command that is written in it runs."""
    called_from: Path
    """Where one that is given to pytest does."""


@dataclass(frozen=True, repr=False)
class Server:
    """A server that listens."""

    number: int
    command: str

    def __repr__(self) -> str:
        return f"<server {self.number + 1}: {self.command}>"


class Outcome:
    """What became of a session: true if that is what was asked. It must be looked at, or the test fails."""

    def __init__(self, answer: Answer, question: str) -> None:
        self._answer = answer
        self._question = question
        self.was_looked_at = False
        """Whether anybody asked if it is true."""

    def __bool__(self) -> bool:
        self.was_looked_at = True
        return self._answer.word == "passed"

    def __repr__(self) -> str:
        answer = self._answer
        if answer.word == "passed":
            return f"<{answer.why}>"
        return f"<{answer.why}; expected: {answer.expected}>"

    @property
    def question(self) -> str:
        """What was asked, for people."""
        return self._question

    @property
    def why(self) -> str:
        """One sentence with the evidence."""
        return self._answer.why

    @property
    def session(self) -> Literal["reaped", "kept", "closed"]:
        """What became of it."""
        return self._answer.outcome

    @property
    def reason(self) -> str | None:
        """What the server said of its end, where it says anything."""
        return self._answer.reason

    @property
    def detection(self) -> float | None:
        """Seconds from the onset of the stall to the reap; None where either is missing."""
        return self._answer.detection

    @property
    def ended_at(self) -> float | None:
        """When the server's side ended, seconds from the session's start; None if it did not."""
        return self._answer.ended_at

    @property
    def stuck_bytes(self) -> int:
        """The most bytes seen queued in the server's socket after the onset."""
        return self._answer.stuck_bytes


class Fault:
    """A fault in force. As a context manager it is undone when that is left; else when the test ends."""

    def __init__(self, channel: Channel, client: int, name: str, step: int) -> None:
        self._channel = channel
        self._client = client
        self.name = name
        self._step = step

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        # After an exception it is undone with the lab: what happened until then is still to be told.
        if error is None:
            self.undo()

    def __repr__(self) -> str:
        return f"<fault {self.name} on client {self._client + 1}>"

    def undo(self) -> None:
        """Undo it; a second time does nothing."""
        __tracebackhide__ = True
        self._channel.ask(Undo(self._client, self._step), Made)


@dataclass(repr=False)
class Client:
    """A client with a session, in a host and on a link of its own. Each deed returns once it is seen to be done."""

    channel: Channel
    number: int
    behaviour: str
    _in_force: list[Fault] = field(default_factory=list)

    def __repr__(self) -> str:
        names = ", ".join(fault.name for fault in self._in_force)
        return f"<client {self.number + 1}: {self.behaviour}{f', {names}' if names else ''}>"

    def fault(self, name: str, /, **options: Any) -> Fault:
        """Do any fault of the catalogue (docs/scenarios.md), with its options as a scenario writes them."""
        __tracebackhide__ = True
        step = self.channel.ask(Begin(self.number, name, options), Made).number
        fault = Fault(self.channel, self.number, name, step)
        self._in_force.append(fault)
        return fault

    def freeze(self) -> Fault:
        """Stop the process (SIGSTOP): a slept laptop, a tab in the freezer. Its kernel lives on."""
        __tracebackhide__ = True
        return self.fault("freeze")

    def thaw(self) -> None:
        """Let it go on."""
        __tracebackhide__ = True
        self._undo("thaw", "freeze")

    def cut(self, direction: Literal["both", "to_client", "to_server"] = "both") -> Fault:
        """Drop what travels on its path, without a word to either end: a tunnel, a handover."""
        __tracebackhide__ = True
        return self.fault("cut", direction=direction)

    def slow(self, rate: str) -> Fault:
        """Have its link carry no more than ``rate`` both ways, such as ``"64kbit"``."""
        __tracebackhide__ = True
        return self.fault("impair", rate=rate)

    def heal(self) -> None:
        """Undo all cuts and slownesses of the path, the last first."""
        __tracebackhide__ = True
        self._undo("heal", *_OF_THE_PATH)

    def close(self) -> Fault:
        """Start the closing handshake."""
        __tracebackhide__ = True
        return self.fault("close")

    def kill(self) -> Fault:
        """End the process (SIGKILL); its kernel tells the server."""
        __tracebackhide__ = True
        return self.fault("kill")

    def _undo(self, deed: str, *names: str) -> None:
        __tracebackhide__ = True
        mine = [fault for fault in self._in_force if fault.name in names]
        if not mine:
            pytest.fail(f"halfopen: there is nothing to {deed}: client {self.number + 1} is under no {names[0]}")
        for fault in reversed(mine):
            fault.undo()
            self._in_force.remove(fault)


class Session:
    """A client's session at its server, as the server's kernel sees it."""

    def __init__(self, lab: Lab, client: Client) -> None:
        self._lab = lab
        self._client = client

    def __repr__(self) -> str:
        return f"<session of client {self._client.number + 1}>"

    def reaped(
        self,
        within: str = "grace + poll + 1s",
        *,
        since: Literal["onset", "fault"] = "onset",
        reason: str | None = None,
    ) -> Outcome:
        """Whether the server ends it in time; waits no longer than it takes to know.

        ``within`` counts from the onset of the stall where there is one, else from the fault, or as
        ``since`` says; ``reason`` is what the server must say of it, where it says anything.
        """
        __tracebackhide__ = True
        question = Question(self._client.number, "reaped", within=within, since=since, reason=reason)
        return self._lab.outcome(question, f"reaped(within={within!r})")

    def kept(self, for_: str = "2.6 * grace") -> Outcome:
        """Whether the server still has it after ``for_``, counted from the last thing done to the client."""
        __tracebackhide__ = True
        return self._lab.outcome(Question(self._client.number, "kept", hold=for_), f"kept(for_={for_!r})")

    def closed(self, within: str = "grace + poll + 1s") -> Outcome:
        """Whether it is closed as the protocol wants it, by either side; ``within`` counts from the fault."""
        __tracebackhide__ = True
        return self._lab.outcome(Question(self._client.number, "closed", within=within), f"closed(within={within!r})")

    @property
    def queued(self) -> int:
        """Bytes in the server's socket that the peer has not acknowledged (SIOCOUTQ, tcp(7))."""
        __tracebackhide__ = True
        return self._lab.seen(self._client).queued

    @property
    def acknowledged(self) -> int:
        """Bytes that the peer has acknowledged since the connection began (tcpi_bytes_acked)."""
        __tracebackhide__ = True
        return self._lab.seen(self._client).acknowledged

    @property
    def state(self) -> str:
        """The state of the server's socket by the kernel's name, ``CLOSE`` once it is gone."""
        __tracebackhide__ = True
        return self._lab.seen(self._client).state


class Lab:
    """The network of one test, and all that runs in it; starts with the first server."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._channel: Channel | None = None
        self._outcomes: list[Outcome] = []

    def __repr__(self) -> str:
        return "<lab>"

    @property
    def seed(self) -> int:
        """What its random numbers are drawn from."""
        return self._settings.seed

    def serve(self, command: str | None = None, /, *, ready: str = "30s", **target: Any) -> Server:
        """Start a server, and wait until it listens.

        ``command`` has ``{host}`` and ``{port}`` in it, and runs beside the test's file; without one it is that
        which the marker, the command line or the configuration names. ``target`` are keys of a ``[target]``
        table (docs/targets.md), such as ``path``, ``headers``, ``send``, ``sessions``, ``tls``, ``edge``.
        """
        __tracebackhide__ = True
        if command is None and not target.keys() & {"server", "image"}:
            command = self._settings.marked_server
        if command is not None:
            target["server"] = command
        if target.keys() & {"server", "image"}:
            named = str(target.get("server") or target["image"])
            return self._serve(Serve(target, written_in=str(self._settings.test_file), ready=ready), named)
        if self._settings.server is not None:
            target["server"] = self._settings.server
        elif self._settings.target is None:
            pytest.fail(
                "halfopen: there is no server to start; name one: lab.serve('python my_server.py --host {host} "
                "--port {port}'), --halfopen-server, or halfopen_server in pytest's configuration"
            )
        named = self._settings.server or str(self._settings.target)
        return self._serve(Serve(target, file=self._settings.target, ready=ready), named)

    def pod(self, detector: str = "bytes-acked", *, ready: str = "30s", path: str = "/", **pod: Any) -> Server:
        """Start the built-in server with one of its detectors (docs/detectors.md), and wait until it listens.

        ``pod`` are keys of a scenario's ``[pod]`` table, such as ``slice_size`` or ``tls``, and what a detector can
        be told: ``reap``, ``min_rate``, ``outage``.
        """
        __tracebackhide__ = True
        knobs: dict[str, Any] = {name: pod.pop(name) for name in ("reap", "min_rate", "outage") if name in pod}
        asked = Serve({"path": path}, detector=detector, pod=pod, knobs=knobs, ready=ready)
        return self._serve(asked, f"pod, detector {detector}")

    def _serve(self, request: Serve, named: str) -> Server:
        __tracebackhide__ = True
        return Server(self._open().ask(request, Made).number, named)

    def connect(
        self,
        server: Server,
        client: str = "draining",
        *,
        link: Mapping[str, Any] | None = None,
        settle: str = "5s",
        **options: Any,
    ) -> Client:
        """Connect a client and wait until the kernel shows that it does what it is to, ``settle`` at most.

        ``client`` and its ``options`` are those of a scenario's ``[client]``, ``link`` is its ``[link]``.
        """
        __tracebackhide__ = True
        asked = self._settings.link if link is None else link
        request = Connect(server.number, {"behaviour": client, **options}, dict(asked), settle)
        channel = self._open()
        return Client(channel, channel.ask(request, Made).number, client)

    def session(self, client: Client) -> Session:
        """The client's session."""
        return Session(self, client)

    def outcome(self, question: Question, words: str) -> Outcome:
        """What became of a session; fails the test if that proves nothing, whatever it would have asserted."""
        __tracebackhide__ = True
        answer = self._open().ask(question, Answer)
        if answer.word == "inconclusive":
            pytest.fail(f"halfopen: {answer.why} (inconclusive; expected: {answer.expected})")
        found = Outcome(answer, words)
        self._outcomes.append(found)
        return found

    def seen(self, client: Client) -> Seen:
        """What the kernel shows of a client's session now."""
        __tracebackhide__ = True
        return self._open().ask(Look(client.number), Seen)

    def story(self) -> str:
        """What was done when, what the kernel saw, what was expected; empty if nothing was begun."""
        if self._channel is None:
            return ""
        opened, settings = self._channel.opened, self._settings
        head = (
            f"{settings.clock} clock, Linux {opened.kernel}, {opened.congestion_control}; grace {settings.grace}, "
            f"poll {settings.poll}, seed {settings.seed}"
        )
        return "\n".join([head, *self._channel.ask(Tell(), Told).lines])

    @property
    def ignored(self) -> list[str]:
        """The questions whose answers nobody looked at."""
        return [outcome.question for outcome in self._outcomes if not outcome.was_looked_at]

    def close(self) -> None:
        """End all of it."""
        if self._channel is not None:
            self._channel.close()

    def _open(self) -> Channel:
        __tracebackhide__ = True
        if self._channel is None:
            settings = self._settings
            opening = Opening(settings.name, settings.seed, settings.grace, settings.poll)
            self._channel = Channel(opening, settings.called_from)
        return self._channel
