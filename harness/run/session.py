"""The session of one client with a server: from a host in a lab to a connection that is watched.

::

    client   ──link──┐
    client-2 ──link──┴─▶ router ──▶ server
"""

from __future__ import annotations

import contextlib
import copy
import random
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Self

import msgspec

from halfopen.clients._frames import unread_close
from halfopen.faults._scene import ProcessHandle, Scene, ServerHandle
from halfopen.model.journal import Journal
from halfopen.model.link_spec import LinkSpec
from halfopen.netns.host import Host
from halfopen.netns.impairment import Impairment
from halfopen.netns.processes import borrowed, open_sockets
from halfopen.netns.sockets import FAMILIES
from halfopen.run.client_process import ClientProcess, NoSessionError, client
from halfopen.run.faults_in_force import FaultsInForce
from halfopen.run.lab_server import LabServer, Network
from halfopen.run.observer import Observer, Stop
from halfopen.run.progress import RunView
from halfopen.run.recorder import STEADY, Recorder, SamplingRate, recording
from halfopen.run.server_processes import ProcessEnds, accepting, note_holders, note_timeouts
from halfopen.scenario.spec import SUBJECT, ClientSpec, Scenario, Step
from halfopen.targets.base import Caller
from halfopen.verdict.findings import find
from halfopen.verdict.judge import Timing, due

#: Seconds to keep watching past the deadline of an end that must come.
_BEYOND = 0.5
#: Most times the wait is extended, since one stall may follow another forever.
_EXTENSIONS = 2
#: Port to try the path with. Nothing listens on the one for tcpmux (RFC 1078). The server's host answers with a reset,
#: and the server learns nothing.
_PATH_PORT = 1
#: Seconds to wait for the answer, and the same in retransmission timeouts of the session, each longer than a round trip
#: (RFC 6298).
_PATH_WITHIN, _PATH_TIMEOUTS = 3.5, 3
#: Attempts, since a link may lose all the packets of one. The kernel sends a SYN three times in 3.5 s (RFC 6298).
_PATH_ATTEMPTS = 3
#: Seconds without a byte acknowledged before a session counts as quiet.
_QUIET = 1.0
#: Seconds within which a socket is sampled and a server that streams has sent data, and seconds between checks.
_SERVED_WITHIN, _STEP = 2.0, 0.01
#: Most bytes that a client's kernel may hold for it.
_MOST_UNREAD = 64 << 20


class ClientLink:
    """A client's host and its link to the router. Notes the link's effect (read by halfopen.model.link_proof)."""

    def __init__(self, network: Network, name: str, spec: LinkSpec, journal: Journal, drawn: random.Random) -> None:
        """Link a new host, the client's, and impair both directions; raises UnsupportedError if the kernel cannot.

        ``drawn`` is the source of the client's random numbers.
        """
        self.journal, self._random = journal, drawn
        self.host = network.lab.host(name)
        self.link = network.lab.link(self.host, network.router)
        for toward, impairment in ((self.host, spec.to_client), (network.router, spec.to_server)):
            self.link.impair(toward, self.seeded(impairment))
            self.note_effect("link", toward)
            if differences := self.link.differences(toward):
                journal.note("lab", "not_as_asked", toward=toward.name, differences=differences)

    def beside(self, journal: Journal) -> ClientLink:
        """Return the same host and link for another client on it, with a journal of its own."""
        shared = copy.copy(self)
        shared.journal = journal
        for toward in (self.host, self.link.other(self.host)):
            shared.note_effect("link", toward)
        return shared

    def note_what_it_did(self) -> None:
        """Note how many packets were lost and passed on so far."""
        for toward in (self.host, self.link.other(self.host)):
            self.note_effect("link_did", toward)

    def seeded(self, impairment: Impairment) -> Impairment:
        """Return the impairment with a seed drawn from the run's, if it draws random numbers and has no seed."""
        if impairment.seed is not None or not impairment.is_random:
            return impairment
        return msgspec.structs.replace(impairment, seed=self._random.getrandbits(63))

    def scene(
        self,
        process: ProcessHandle,
        server: ServerHandle,
        rival: Callable[[str], AbstractContextManager[ProcessHandle]],
    ) -> Scene:
        """Return the scene of faults on a client, or on a crowd, behind this link."""
        return Scene(
            client=process,
            server=server,
            client_host=self.host,
            link=self.link,
            note=partial(self.journal.note, "fault"),
            seeded=self.seeded,
            rival=rival,
        )

    def draw_id(self) -> str:
        """Return a random name for a client."""
        return f"{self._random.getrandbits(32):08x}"

    def note_effect(self, name: str, toward: Host) -> None:
        """Note the effect of the link on packets toward one of its ends."""
        effect = self.link.does(toward)
        self.journal.note(
            "lab",
            name,
            toward="client" if toward is self.host else "router",
            does=str(effect.impairment),
            differences=self.link.differences(toward),
            sent=effect.sent,
            dropped=effect.dropped,
        )


@dataclass(frozen=True, slots=True)
class Visit:
    """The way in which a client presents itself to the server."""

    user: str = SUBJECT
    """Name of the user that it is: ``{client}`` in a target's path, headers and messages."""
    query: str = ""
    """Addition to the URL's query."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers besides the target's."""


@dataclass(frozen=True, slots=True)
class Session:
    """An open session, with everything that can act on it."""

    client: ClientProcess
    client_link: ClientLink
    server: LabServer
    recorder: Recorder
    watch: Observer
    scene: Scene
    faults: FaultsInForce

    @classmethod
    @contextlib.contextmanager
    def open(
        cls,
        server: LabServer,
        link: ClientLink,
        spec: ClientSpec,
        view: RunView,
        stop: Stop,
        sampling: SamplingRate = STEADY,
        visit: Visit = Visit(),
    ) -> Iterator[Self]:
        """Connect a client and begin to sample its session. Leaving undoes all faults and ends the client.

        The link's journal must follow the server's. Raises NoSessionError, with the reason in the journal too.
        """
        journal, site = link.journal, server.site
        client_id = link.draw_id()
        endpoint = server.running.endpoint(client_id, visit.query, user=visit.user)
        endpoint = msgspec.structs.replace(endpoint, headers={**endpoint.headers, **visit.headers})
        with (
            recording(
                journal.sampled, site.host, site.port, sampling, on_end=partial(journal.note, "kernel")
            ) as recorder,
            server.recording_in_front(journal) as in_front,
            client(link.host, spec, endpoint, journal, site.keep_open) as process,
            contextlib.closing(ProcessEnds(server.running, journal)) as ends,
        ):
            workers = accepting(site)
            try:
                address = process.connect()
            except NoSessionError as error:
                raise NoSessionError(process.note_unopened(server.running.process, str(error))) from None
            if in_front is not None:
                in_front.follow(address)
            opened = journal.find("client", "opened")
            assert opened is not None
            journal.start = opened.t
            caller = Caller(client_id, server.seen_from(address))
            journal.note("lab", "caller", id=client_id)
            recorder.follow(caller.addresses[0])
            ends.watch(caller.addresses, workers)
            watch = Observer(journal, process, server.running, caller, view, stop)
            scene = link.scene(process, server, partial(_rival, server, link, spec))
            session = cls(process, link, server, recorder, watch, scene, FaultsInForce(journal, scene))
            try:
                yield session
            finally:
                session.undo_all()

    @property
    def journal(self) -> Journal:
        """Its events and samples."""
        return self.client_link.journal

    def await_service(self) -> None:
        """Wait until the server's socket was sampled, and until it has sent data, if it sends any.

        Then the recorder takes no later socket for it, and the server holds all that it needs for the session.
        """
        until = time.monotonic() + _SERVED_WITHIN
        self.journal.wait_for("client", "first_data", until=until)
        while self.journal.last_sample() is None and time.monotonic() < until:
            time.sleep(_STEP)

    def check_path(self) -> None:
        """Note if packets travel between the client's host and the server, unless the session itself shows it.

        A client that has nothing to read gets none, so this sends a packet each way beside the session.
        """
        if self.journal.moves(within=_QUIET, in_front=self.server.edge is not None):
            return
        last = self.journal.last_sample()
        rto = last.info.rto / 1e6 if last is not None and last.info is not None else 0.0
        within = max(_PATH_WITHIN, _PATH_TIMEOUTS * rto)
        carries = any(self._reaches_server(within) for _ in range(_PATH_ATTEMPTS))
        self.journal.note("lab", "path", carries=carries, within=within)

    def _reaches_server(self, within: float) -> bool:
        try:
            self.scene.client_host.connect((self.server.site.public_ip, _PATH_PORT), within).close()
        except OSError as error:
            return isinstance(error, ConnectionRefusedError)
        return True

    def note_timeouts(self) -> None:
        """Note the limits that the kernel keeps for the server's socket. A server may set them once it serves."""
        last = self.journal.last_sample()
        if last is not None and last.inode:
            note_timeouts(self.server.site, last.inode, self.journal)

    def note_unread_close(self) -> None:
        """Note the server's close frame if it lies unread in the kernel of a client that no longer reads."""
        if not self.journal.session_ended or self.journal.find("client", "close_received") is not None:
            return
        with contextlib.suppress(OSError):
            for inode in open_sockets(self.client.pid):
                with borrowed(self.client.pid, inode) as sock:
                    if sock.family not in FAMILIES:
                        continue
                    data = sock.recv(_MOST_UNREAD, socket.MSG_PEEK | socket.MSG_DONTWAIT)
                if (close := unread_close(data)) is not None:
                    self.journal.note("lab", "close_unread", code=close.code, reason=close.reason)

    def note_holders(self) -> None:
        """Note which processes still hold the server's socket, if any."""
        last = self.journal.last_sample()
        if last is not None and last.inode and not self.journal.has_released:
            note_holders(self.server.running, last.inode, self.journal)

    def begin(self, step: Step, number: int) -> None:
        """Do a fault; raises FaultError, TimeoutError."""
        self.faults.begin(step, number)

    def undo(self, number: int) -> None:
        """Undo a fault, if it is still in force; raises TimeoutError if the server no longer answers to that."""
        self.faults.undo(number)

    def undo_all(self) -> None:
        """Undo the faults in force."""
        self.faults.undo_all()

    def observe(self, scenario: Scenario, terms: Timing, until: float) -> None:
        """Watch until ``until`` (monotonic clock), and longer for an end that is due later, since a stall began."""
        self.watch.until(until)
        if terms.hold is not None:
            return
        for _ in range(_EXTENSIONS):
            moment = due(scenario, find(self.journal.timeline(), scenario), terms)
            if moment is not None and self.journal.start + moment + _BEYOND > until:
                until = self.journal.start + moment + _BEYOND
                self.watch.view.deadline = until
                self.watch.until(until)


@contextlib.contextmanager
def _rival(server: LabServer, link: ClientLink, spec: ClientSpec, query: str) -> Iterator[ClientProcess]:
    """Connect a second client from the same host, with events of kind ``rival``; raises NoSessionError."""
    endpoint = server.running.endpoint(link.draw_id(), query)
    with client(link.host, spec, endpoint, link.journal, server.site.keep_open, "rival") as process:
        process.connect()
        yield process
