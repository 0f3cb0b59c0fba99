"""The crowd of a scenario: its process, its link, its sockets at the server, and what it costs the server."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

from halfopen.clients._messages import CrowdOrder
from halfopen.errors import FaultError
from halfopen.faults._scene import ProcessHandle
from halfopen.model.journal import Journal
from halfopen.netns.processes import usage
from halfopen.netns.sockets import Address
from halfopen.run.client_process import ClientProcess, client
from halfopen.run.crowd_sockets import CrowdSockets, watching_sockets
from halfopen.run.faults_in_force import FaultsInForce
from halfopen.run.lab_server import LabServer
from halfopen.run.recorder import STEADY, Recorder, SamplingRate, recording
from halfopen.run.session import ClientLink
from halfopen.scenario.spec import CROWD, CrowdSpec

#: Seconds for the crowd to close all sessions, and for the server to let go of them: websockets waits 10 s for the
#: answer to a close frame.
_LEAVES_WITHIN = 12.0
_STEP = 0.1
#: Counters of connection attempts that a listening socket could not take (net/ipv4/tcp_ipv4.c, tcp_conn_request).
_COUNTERS = ("ListenOverflows", "ListenDrops")


@dataclass(frozen=True, slots=True)
class CrowdSession:
    """Connected clients, with everything that can act on them."""

    process: ClientProcess
    client_link: ClientLink
    server: LabServer
    sockets: CrowdSockets
    recorder: Recorder
    faults: FaultsInForce

    @classmethod
    @contextlib.contextmanager
    def open(
        cls, server: LabServer, link: ClientLink, spec: CrowdSpec, seed: int, sampling: SamplingRate = STEADY
    ) -> Iterator[Self]:
        """Connect the clients and begin to sample their sockets, and the session of the first to be open.

        That one shows if a fault struck the link. Leaving undoes all faults and ends the process.
        """
        journal, site = link.journal, server.site
        names = [f"{CROWD}-{number}" for number in range(spec.count)]
        order = CrowdOrder(
            endpoints=tuple(server.running.endpoint(link.draw_id(), user=name) for name in names),
            seed=seed,
            retry=None if spec.reconnect is None else spec.reconnect.retry,
            patience=None if spec.patience is None else float(spec.patience),
            connects_within=float(spec.connects_within),
        )
        own_ip = link.link.end(link.host).ip
        source, *_ = server.seen_from(Address(own_ip, 0))
        _note_cost(server, journal, "before")
        with (
            watching_sockets(server, source.ip, journal) as sockets,
            recording(
                journal.sampled, site.host, site.port, sampling, on_end=partial(journal.note, "kernel")
            ) as recorder,
            server.recording_in_front(journal) as in_front,
            client(link.host, spec.client, order, journal, site.keep_open, CROWD) as process,
        ):
            faults = FaultsInForce(journal, link.scene(process, server, _no_rival))
            session = cls(process, link, server, sockets, recorder, faults)
            opened = journal.wait_for(CROWD, "opened", until=time.monotonic() + spec.connects_within)
            if opened is not None:
                address = Address(*opened.data["local"])
                # Behind a proxy its socket on that side is not to be told from the others.
                (recorder if in_front is None else in_front).follow(address)
            try:
                yield session
            finally:
                session.faults.undo_all()

    @property
    def journal(self) -> Journal:
        """Its events, and the samples of one of its sessions."""
        return self.client_link.journal

    def settle(self) -> None:
        """Close all sessions, and note what is left of them at the server, and what it still holds."""
        self.client_link.note_what_it_did()
        _note_cost(self.server, self.journal, "during")
        self.recorder.stop()
        before = self.journal.find("lab", "crowd_cost")
        assert before is not None
        self.process.say("close")
        _wait(lambda: self.process.process.exit_code is not None)
        _wait(lambda: not self.sockets.left)
        _wait(lambda: _fits(_cost(self.server), before.data))
        self.journal.note("lab", "crowd_left", sockets=self.sockets.left)
        _note_cost(self.server, self.journal, "after")

    def stop(self) -> None:
        """Stop sampling."""
        self.recorder.stop()


def _no_rival(_query: str) -> AbstractContextManager[ProcessHandle]:
    raise FaultError("a fault connects a rival of one client, and a crowd has many")


def _cost(server: LabServer) -> dict[str, int]:
    """Return what the server's processes hold, and its counters of attempts that its backlog could not take."""
    counters = server.site.host.tcp_counters()
    return {**usage(server.site.host.processes())._asdict(), **{name: counters[name] for name in _COUNTERS}}


def _note_cost(server: LabServer, journal: Journal, when: str) -> None:
    journal.note("lab", "crowd_cost", when=when, **_cost(server))


def _fits(now: dict[str, int], before: dict[str, Any]) -> bool:
    """True if the server holds no more files and threads than before."""
    return all(now[what] <= before[what] for what in ("files", "threads"))


def _wait(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + _LEAVES_WITHIN
    while not condition() and time.monotonic() < until:
        time.sleep(_STEP)
