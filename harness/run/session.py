"""Open a client's session with the server under test: from an empty lab to a connection that is watched."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

from halfopen.faults._scene import Scene
from halfopen.model.journal import Journal
from halfopen.netns.host import Host
from halfopen.netns.lab import Lab
from halfopen.netns.link import Link
from halfopen.run.client_link import ClientLink
from halfopen.run.client_process import ClientProcess, client, rival
from halfopen.run.observer import Observer, Stop
from halfopen.run.progress import RunView
from halfopen.run.proxy_path import Route, lead_to
from halfopen.run.recorder import STEADY, OfTheServer, Recorder, SamplingRate, recording
from halfopen.scenario.spec import Scenario
from halfopen.targets.base import Caller, Running, Target
from halfopen.targets.orders import OrderedServer


@dataclass(frozen=True, slots=True)
class Cast:
    """Everything needed to open one client session."""

    scenario: Scenario
    target: Target
    ready_within: float
    """Seconds that a server may take until it listens."""
    drawn: random.Random
    """Source of random ports, names and seeds."""
    journal: Journal
    view: RunView
    stop: Stop
    rhythm: SamplingRate = STEADY
    """Sampling rate of the server's socket."""


@dataclass(frozen=True, slots=True)
class Session:
    """An open session, with everything that can act on it."""

    client: ClientProcess
    client_link: ClientLink
    server: Running
    way: Route
    recorder: Recorder
    watch: Observer
    scene: Scene


def _nothing(_way: Route) -> AbstractContextManager[object]:
    return contextlib.nullcontext()


@contextlib.contextmanager
def opened(
    cast: Cast, lab: Lab, around: Callable[[Route], AbstractContextManager[object]] = _nothing
) -> Iterator[Session | None]:
    """Start the server, connect the client, begin to sample. Yield None if no session opens (the journal says why).

    ``around`` makes a context that is entered after the server listens and before its client connects. Raises
    TargetError.
    """
    network = _Network(cast, lab)
    # Always drawn, so that later draws do not depend on the target.
    port, client_id = cast.drawn.randrange(20000, 30000), f"{cast.drawn.getrandbits(32):08x}"
    port = cast.target.fixed_port or port
    cast.view.phase = "starting the server"
    with cast.target.placed(lab, "server", port, cast.journal) as place:
        way = lead_to(
            place.host,
            lab,
            network.router,
            cast.scenario.edge,
            port=port,
            journal=cast.journal,
            ready_within=cast.ready_within,
        )
        with place.start(way.site) as server, way.proxied(cast.journal), around(way):
            cast.view.phase = "connecting"
            with network.connected(client_id, server, way) as session:
                yield session


class _Network:
    """The client's side of the lab."""

    def __init__(self, cast: Cast, lab: Lab) -> None:
        self._cast = cast
        self._host: Host = lab.host("client")
        self.router = lab.router("router")
        self._link: Link = lab.link(self._host, self.router)
        self._client_link = ClientLink(self._link, self._host, cast.journal, cast.drawn)
        self._client_link.impair(cast.scenario.link)

    @contextlib.contextmanager
    def connected(self, client_id: str, server: Running, way: Route) -> Iterator[Session | None]:
        """Connect the client and sample its session."""
        journal = self._cast.journal
        endpoint = server.endpoint(client_id)
        with (
            recording(OfTheServer(journal), way.site.host, way.site.port, self._cast.rhythm) as recorder,
            way.recording_in_front(journal) as in_front,
            client(self._host, self._cast.scenario.client, endpoint, journal, way.between) as its,
        ):
            opened = its.connect()
            if isinstance(opened, str):
                its.note_unopened(server.process, opened)
                yield None
                return
            if in_front is not None:
                in_front.follow(opened)
            yield self._session(its, server, recorder, Caller(client_id, way.seen_from(opened)), way)

    def _session(self, its: ClientProcess, server: Running, recorder: Recorder, caller: Caller, way: Route) -> Session:
        journal = self._cast.journal
        connected = journal.find("client", "opened")
        assert connected is not None
        journal.start = connected.t
        recorder.follow(caller.addresses[0])
        watch = Observer(journal, its, server, caller, self._cast.view, self._cast.stop)
        scene = Scene(
            client=its,
            server=OrderedServer(server, journal),
            client_host=self._host,
            link=self._link,
            note=partial(journal.note, "fault"),
            seeded=self._client_link.seeded,
            rival=partial(self._rival, server, way),
        )
        return Session(its, self._client_link, server, way, recorder, watch, scene)

    def _rival(self, server: Running, way: Route, query: str) -> AbstractContextManager[ClientProcess]:
        """Open a second client from the same host; raises FaultError if it gets no session."""
        endpoint = server.endpoint(f"{self._cast.drawn.getrandbits(32):08x}", query)
        return rival(self._host, self._cast.scenario.client, endpoint, self._cast.journal, way.between)
