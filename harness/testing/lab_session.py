"""A lab that grows while a test runs: servers and clients on one router, each client with a session of its own.

::

    client   ──link──┐           ┌──▶ server
    client-2 ──link──┴─▶ router ─┴──▶ server-2
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from types import TracebackType
from typing import Self

from halfopen.errors import InputError
from halfopen.faults._scene import Scene
from halfopen.model.journal import Journal
from halfopen.model.link_spec import LinkSpec
from halfopen.netns.host import Host
from halfopen.netns.lab import Lab
from halfopen.netns.sockets import Address
from halfopen.results import story
from halfopen.run.client_link import ClientLink
from halfopen.run.client_process import ClientProcess, client, rival
from halfopen.run.observer import Observer, Stop
from halfopen.run.progress import RunView
from halfopen.run.recorder import OfTheServer, recording
from halfopen.scenario.spec import ClientSpec, client_of
from halfopen.targets.base import Caller
from halfopen.targets.orders import OrderedServer
from halfopen.testing.actions import Party
from halfopen.testing.durations import seconds
from halfopen.testing.messages import Answer, Begin, Connect, Opening, Question, Serve, SocketSeen, Undo
from halfopen.testing.servers import Served, start, target_of
from halfopen.verdict.judge import Timing


class Stand:
    """The lab of one test. Use it as a context manager."""

    def __init__(self, lab: Lab, opening: Opening) -> None:
        """Raises InputError for a grace or a poll that is no duration."""
        self._lab = lab
        self._terms = Timing(seconds("grace", opening.grace), seconds("poll", opening.poll))
        self._name = opening.name
        self._seed = opening.seed
        self._random = random.Random(f"{opening.seed}/{opening.name}")
        self._router = lab.router("router")
        self._servers: list[Served] = []
        self._parties: list[Party] = []
        self._until_done = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._until_done.__exit__(kind, error, trace)

    def serve(self, asked: Serve) -> int:
        """Start a server, wait until it listens, and return its number. Raises InputError, TargetError."""
        target, edge = target_of(asked, self._terms, self._seed)
        number = len(self._servers)
        suffix = f"-{number + 1}" if number else ""
        ready = seconds("ready", asked.ready, self._terms)
        served = self._until_done.enter_context(
            start(self._lab, self._router, target, edge, suffix, self._random.randrange(20000, 30000), ready)
        )
        self._servers.append(served)
        return number

    def connect(self, asked: Connect) -> int:
        """Connect a client, wait until it streams, and return its number.

        The wait ends after ``settle`` in any case. Raises InputError for invalid options, or if it gets no session.
        """
        served = self._servers[asked.server]
        settle = seconds("settle", asked.settle, self._terms)
        spec, link_spec = client_of(asked.client, "client"), LinkSpec.from_table(asked.link, "link")
        served.take_one_more()
        party = self._until_done.enter_context(self._party(served, spec, link_spec))
        self._parties.append(party)
        party.until_it_streams(settle)
        return len(self._parties) - 1

    @contextlib.contextmanager
    def _party(self, served: Served, spec: ClientSpec, link_spec: LinkSpec) -> Iterator[Party]:
        number = len(self._parties) + 1
        host = self._lab.host("client" if number == 1 else f"client-{number}")
        link = self._lab.link(host, self._router)
        journal = Journal()
        served.journal.followers.append(journal)
        client_link = ClientLink(link, host, journal, self._random)
        client_link.impair(link_spec)
        client_id = self._client_id()
        endpoint = served.running.endpoint(client_id)
        with (
            recording(OfTheServer(journal), served.way.site.host, served.way.site.port) as recorder,
            served.way.recording_in_front(journal) as in_front,
            client(host, spec, endpoint, journal, served.way.between) as its,
        ):
            opened = _opened(its, number)
            if in_front is not None:
                in_front.follow(opened)
            caller = Caller(client_id, served.way.seen_from(opened))
            journal.start = _when_opened(journal)
            recorder.follow(caller.addresses[0])
            watch = Observer(journal, its, served.running, caller, RunView(f"client {number}"), Stop())
            scene = Scene(
                client=its,
                server=OrderedServer(served.running, journal),
                client_host=host,
                link=link,
                note=partial(journal.note, "fault"),
                seeded=client_link.seeded,
                rival=partial(self._rival, served, host, spec, journal),
            )
            with Party(
                self._name, number, spec, link_spec, served.way.edge, self._terms, journal, watch, client_link, scene
            ) as party:
                yield party
                # Events from here on, from undoing the faults to ending the client, are our own doing and prove
                # nothing.
                for one in (recorder, in_front):
                    if one is not None:
                        one.stop()
                journal.seal()

    def _rival(
        self, served: Served, host: Host, spec: ClientSpec, journal: Journal, query: str
    ) -> AbstractContextManager[ClientProcess]:
        """Connect a second client from the same host; raises FaultError if it gets no session."""
        return rival(host, spec, served.running.endpoint(self._client_id(), query), journal, served.way.between)

    def _client_id(self) -> str:
        return f"{self._random.getrandbits(32):08x}"

    def begin(self, asked: Begin) -> int:
        """Begin a fault on a client and return the number of its step.

        Raises InputError, FaultError, TimeoutError.
        """
        return self._parties[asked.client].begin(asked.fault, asked.options)

    def undo(self, asked: Undo) -> None:
        """Undo a fault; a second call does nothing."""
        self._parties[asked.client].undo(asked.step)

    def ask(self, asked: Question) -> Answer:
        """Observe until the outcome is clear; raises InputError for an invalid question."""
        return self._parties[asked.client].ask(asked)

    def look(self, number: int) -> SocketSeen:
        """Return the kernel's current view of a client's session."""
        return self._parties[number].look()

    def tell(self) -> list[str]:
        """Return the history so far as readable lines."""
        lines = [line for party in self._parties for line in party.tell()]
        return lines + [line for served in self._servers for line in story.printed(served.journal.timeline())]


def _when_opened(journal: Journal) -> float:
    opened = journal.find("client", "opened")
    assert opened is not None
    return opened.t


def _opened(its: ClientProcess, number: int) -> Address:
    opened = its.connect()
    if isinstance(opened, str):
        raise InputError(f"client {number} has got no session: {opened}")
    return opened
