"""A test's lab: it starts servers, connects clients, and returns their sessions."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, overload

import pytest

from halfopen.errors import suggest
from halfopen.testing import plugin
from halfopen.testing.channel import Channel
from halfopen.testing.client import Client
from halfopen.testing.client_session import ClientSession, Outcome
from halfopen.testing.messages import Connect, Done, HistoryLines, Opening, ReadHistory, Reception, Serve

__all__ = ["LabFixture", "Refusal", "Server"]

#: Keywords of the marker.
_KNOWN = ("grace", "link", "poll", "seed", "server")


@dataclass(frozen=True, repr=False)
class Server:
    """A server that listens."""

    number: int
    command: str

    def __repr__(self) -> str:
        return f"<server {self.number + 1}: {self.command}>"


@dataclass(frozen=True)
class Refusal:
    """A server's refusal of a client."""

    why: str
    """One sentence with the server's answer."""
    status: int | None
    """Status of an HTTP answer; None if the handshake succeeded."""
    close_code: int | None
    """Code of the close frame; None without one."""
    close_reason: str | None
    """Reason in the close frame; None without one."""


class LabFixture:
    """The network of one test, and all that runs in it. It starts with the first server."""

    def __init__(self, request: pytest.FixtureRequest, seed: int) -> None:
        """Read the settings from the test's marker, the command line and pytest's configuration."""
        self._config, self._marked = request.config, _marked(request.node)
        self._test, self._file = request.node.nodeid, request.path
        self.seed: int = self._marked.get("seed", seed)
        """Seed of the lab's random numbers."""
        self._grace, self._poll = (
            str(self._marked.get(name) or plugin.setting(self._config, name)) for name in ("grace", "poll")
        )
        self._channel: Channel | None = None
        self._outcomes: list[Outcome] = []

    def __repr__(self) -> str:
        return "<lab>"

    def serve(self, command: str | None = None, /, *, ready: str = "30s", **target: Any) -> Server:
        """Start a server, and wait until it listens.

        ``command`` contains ``{host}`` and ``{port}``, and runs beside the test's file. Without one, the marker, the
        command line or the configuration names it. ``target`` are keys of a ``[target]`` table (docs/targets.md), such
        as ``path``, ``headers``, ``send``, ``sessions``, ``tls``, ``edge``.
        """
        __tracebackhide__ = True
        if command is None and not target.keys() & {"server", "image"}:
            command = self._marked.get("server")
        if command is not None:
            target["server"] = command
        if target.keys() & {"server", "image"}:
            named = str(target.get("server") or target["image"])
            # A command written in a test runs in the folder of its file.
            return self._serve(Serve(target, written_in=str(self._file), ready=ready), named)
        server, file = plugin.setting(self._config, "server"), plugin.setting(self._config, "target")
        if server is not None:
            target["server"] = server
        elif file is None:
            pytest.fail(
                "halfopen: there is no server to start; name one: lab.serve('python my_server.py --host {host} "
                "--port {port}'), --halfopen-server, or halfopen_server in pytest's configuration"
            )
        return self._serve(Serve(target, file=file, ready=ready), server or str(file))

    def pod(self, detector: str = "bytes-acked", *, ready: str = "30s", path: str = "/", **pod: Any) -> Server:
        """Start the built-in server with one of its detectors (docs/detectors.md), and wait until it listens.

        ``pod`` are keys of a scenario's ``[pod]`` table, such as ``slice_size`` or ``tls``, and the options of a
        detector: ``reap``, ``min_rate``, ``outage``, ``common_outage``.
        """
        __tracebackhide__ = True
        request = Serve({"path": path}, detector=detector, pod=pod, ready=ready)
        return self._serve(request, f"pod, detector {detector}")

    def _serve(self, request: Serve, named: str) -> Server:
        __tracebackhide__ = True
        return Server(self._open().ask(request, Done).number, named)

    @overload
    def connect(self, server: Server, client: str = ..., *, expect: Literal["refused"], **options: Any) -> Refusal: ...

    @overload
    def connect(
        self, server: Server, client: str = ..., *, expect: Literal["session"] = ..., **options: Any
    ) -> Client: ...

    def connect(  # noqa: PLR0913 (keywords that a test names)
        self,
        server: Server,
        client: str = "draining",
        *,
        link: Mapping[str, Any] | None = None,
        settle: str = "5s",
        headers: Mapping[str, str] | None = None,
        query: str = "",
        user: str | None = None,
        host: Client | None = None,
        expect: Literal["session", "refused"] = "session",
        **options: Any,
    ) -> Client | Refusal:
        """Connect a client and wait until the kernel shows its behaviour, ``settle`` at most.

        ``client`` and its ``options`` are those of a scenario's ``[client]``, ``link`` is its ``[link]``. ``headers``
        and ``query`` are this client's alone. ``user`` replaces ``{client}`` in the server's path, headers and first
        messages, and in these; by default each client is a user of its own. With ``host`` it has the address and the
        link of another client.

        With ``expect="refused"`` it returns the server's refusal: an HTTP error, or a close frame before any data. A
        client that is admitted raises AssertionError.
        """
        __tracebackhide__ = True
        if expect not in ("session", "refused"):
            pytest.fail(f"halfopen: expect is 'session' or 'refused', got {expect!r}")
        if host is not None and link is not None:
            pytest.fail("halfopen: link and host exclude each other: clients on one host share its link")
        link = self._marked.get("link", {}) if link is None else link
        if not isinstance(link, Mapping):
            pytest.fail(f"halfopen: a link is a table, such as {{'delay': '20ms'}}, got {link!r}")
        request = Connect(
            server.number,
            {"behaviour": client, **options},
            dict(link),
            settle,
            headers=dict(headers or {}),
            query=query,
            user=user,
            host=None if host is None else host.number,
            refused=expect == "refused",
        )
        channel = self._open()
        if expect == "refused":
            seen = channel.ask(request, Reception)
            if not seen.is_refused:
                raise AssertionError(seen.why)
            return Refusal(seen.why, seen.status, seen.close_code, seen.close_reason)
        return Client(channel, channel.ask(request, Done).number, client)

    def session(self, client: Client) -> ClientSession:
        """Return the client's session."""
        return ClientSession(client, self._outcomes)

    def story(self) -> str:
        """Return the history with actions, kernel observations and expectations; empty if nothing was begun."""
        if self._channel is None:
            return ""
        opened = self._channel.opened
        head = (
            f"{plugin.clock()} clock, Linux {opened.kernel}, {opened.congestion_control}; grace {self._grace}, "
            f"poll {self._poll}, seed {self.seed}"
        )
        return "\n".join([head, *self._channel.ask(ReadHistory(), HistoryLines).lines])

    @property
    def ignored(self) -> list[str]:
        """Questions whose answers were never checked."""
        return [outcome.question for outcome in self._outcomes if not outcome.was_looked_at]

    def close(self) -> None:
        """End the lab and everything in it."""
        if self._channel is not None:
            self._channel.close()

    def _open(self) -> Channel:
        __tracebackhide__ = True
        if self._channel is None:
            opening = Opening(self._test, self.seed, self._grace, self._poll)
            self._channel = Channel(opening, self._config.invocation_params.dir)
        return self._channel


def _marked(node: pytest.Item) -> dict[str, Any]:
    """Merge the markers of a test, its class and its module; the nearest wins."""
    found: dict[str, Any] = {}
    for marker in node.iter_markers("halfopen"):
        if marker.args:
            pytest.fail(f"halfopen: the marker takes keywords only, got {marker.args[0]!r}", pytrace=False)
        for name in marker.kwargs.keys() - set(_KNOWN):
            pytest.fail(f"halfopen: the marker knows no {name!r}; {suggest(name, _KNOWN)}", pytrace=False)
        found = {**marker.kwargs, **found}
    return found


def sections(item: pytest.Item, lab: LabFixture) -> list[tuple[str, str]]:
    """Return the report sections: the history of a test's lab, and the command that repeats it."""
    try:
        story = lab.story()
    except pytest.fail.Exception as error:
        story = str(error)
    return [("halfopen", f"{story}\nagain: {again(item.config, item.nodeid, lab.seed)}")] if story else []


def again(config: pytest.Config, test: str, seed: int) -> str:
    """Return the command that repeats a test exactly."""
    words = ["pytest", test]
    for name in ("grace", "poll", "clock", "server", "target", "detector"):
        given = config.getoption(f"halfopen_{name}")
        if given is not None:
            words += [f"--halfopen-{name}", given]
    return shlex.join([*words, "--halfopen-seed", str(seed)])
