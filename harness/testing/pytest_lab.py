"""The lab of one test: servers and clients on one router, each client with a session of its own.

::

    client   ──link──┐           ┌──▶ server
    client-2 ──link──┴─▶ router ─┴──▶ server-2
"""

from __future__ import annotations

import contextlib
import random
import time
from pathlib import Path

import msgspec

from halfopen.errors import InputError
from halfopen.liveness.death import Reap
from halfopen.model import schema
from halfopen.model.journal import Journal
from halfopen.model.link_spec import LinkSpec
from halfopen.netns.lab import Lab
from halfopen.netns.lab_errors import UnsupportedError
from halfopen.netns.units import ByteRate, Duration, show_duration
from halfopen.results import story
from halfopen.results.explanation import SERVER_SAID
from halfopen.run import request as run_request
from halfopen.run.client_process import NoSessionError
from halfopen.run.hindrances import lacking_proxy
from halfopen.run.lab_server import LabServer, Network
from halfopen.run.observer import Stop
from halfopen.run.progress import RunView
from halfopen.run.request import RunRequest
from halfopen.run.session import ClientLink, Session, Visit
from halfopen.scenario.scenario_file import client_of
from halfopen.scenario.spec import Edge, PodSpec
from halfopen.scenario.target_spec import TargetSpec, load, wrong_headers
from halfopen.targets.base import Target
from halfopen.targets.command import USER, filled_in
from halfopen.targets.pod import DetectorOptions
from halfopen.testing.messages import (
    BeginFault,
    Connect,
    Done,
    HistoryLines,
    Judgement,
    JudgeSession,
    Opening,
    ReadSocket,
    Reception,
    Reply,
    Request,
    Serve,
    UndoFault,
)
from halfopen.testing.pytest_client import PytestClient, seconds
from halfopen.testing.refused_client import RefusedClient
from halfopen.verdict import ends
from halfopen.verdict.findings import was_refused
from halfopen.verdict.judge import Timing

#: Reports of a client that show if its server admits it.
_ANSWERS = ("close_received", "first_data", "ended")


class PytestLab(contextlib.ExitStack):
    """Carries out a test's requests. Use it as a context manager: leaving it ends the servers and clients."""

    def __init__(self, lab: Lab, opening: Opening) -> None:
        """Raises InputError for a grace or a poll that is no duration."""
        super().__init__()
        self._terms = Timing(seconds("grace", opening.grace), seconds("poll", opening.poll))
        self._seed = opening.seed
        self._random = random.Random(f"{opening.seed}/{opening.name}")
        self._network = Network(lab)
        self._servers: list[LabServer] = []
        self._clients: list[PytestClient] = []
        self._refused: list[RefusedClient] = []

    def answer(self, request: Request) -> Reply:
        """Carry out a request; raises InputError, LabError, FaultError, TimeoutError."""
        match request:
            case Serve():
                return Done(self._serve(request))
            case Connect():
                return self._connect(request)
            case BeginFault():
                return Done(self._clients[request.client].begin(request.fault, request.options))
            case UndoFault():
                self._clients[request.client].undo(request.step)
                return Done()
            case JudgeSession():
                return self._judge(request)
            case ReadSocket():
                return self._clients[request.client].read_socket()
            case _:
                return HistoryLines(self._history())

    def _serve(self, request: Serve) -> int:
        """Start a server, wait until it listens, and return its number."""
        target, edge = _target(request, self._terms, self._seed)
        number = len(self._servers)
        server = LabServer.start(
            target,
            self._network,
            edge,
            port=self._random.randrange(20000, 30000),
            journal=Journal(),
            ready_within=seconds("ready", request.ready, self._terms),
            suffix=f"-{number + 1}" if number else "",
        )
        self._servers.append(self.enter_context(server))
        return number

    def _connect(self, request: Connect) -> Reply:
        """Connect a client, and wait until it streams or, if it is to be refused, is (for ``settle`` at most)."""
        server = self._servers[request.server]
        settle = seconds("settle", request.settle, self._terms)
        spec, link_spec = client_of(request.client, "client"), LinkSpec.from_table(request.link, "link")
        if server.edge is not None and any(client.session.server is server for client in self._clients):
            raise InputError(
                f"a server behind {server.edge.proxy} takes one client here: all come from the proxy's address, and no "
                "session could be told from another; serve it a second time for the second client"
            )
        if wrong := next(wrong_headers(request.headers), None):
            raise InputError(wrong)
        number = len(self._clients) + len(self._refused) + 1
        name, journal = "client" if number == 1 else f"client-{number}", Journal()
        user = name if request.user is None else request.user
        server.site.journal.followers.append(journal)
        if request.host is None:
            link = ClientLink(self._network, name, link_spec, journal, self._random)
        else:
            neighbour = self._clients[request.host]
            link, link_spec = neighbour.session.client_link.beside(journal), neighbour.link_spec
        headers = {key: filled_in(value, {USER: user}) for key, value in request.headers.items()}
        visit = Visit(user=user, query=filled_in(request.query, {USER: user}), headers=headers)
        opening = Session.open(server, link, spec, RunView(f"client {number}"), Stop(), visit=visit)
        try:
            session = self.enter_context(opening)
        except NoSessionError as error:
            if request.refused and was_refused(journal.timeline()):
                return self._refuse(RefusedClient(number, spec.behaviour, journal))
            raise InputError(f"client {number} has got no session: {error}") from None
        if request.refused:
            journal.wait(lambda: journal.find("client", *_ANSWERS) is not None, time.monotonic() + settle)
            if not was_refused(journal.timeline()):
                self._clients.append(PytestClient(number, spec, link_spec, self._terms, session))
                return Reception(False, f"client {number} was {_admitted(journal, settle)}, expected it refused")
            return self._refuse(RefusedClient(number, spec.behaviour, journal))
        client = PytestClient(number, spec, link_spec, self._terms, session)
        self._clients.append(client)
        client.wait_until_it_streams(settle)
        return Done(len(self._clients) - 1)

    def _refuse(self, client: RefusedClient) -> Reply:
        self._refused.append(client)
        return client.refusal()

    def _judge(self, request: JudgeSession) -> Judgement:
        client = self._clients[request.client]
        neighbours = (other for other in self._clients if other.session.server is client.session.server)
        return client.judge(request, max(other.acted_at for other in neighbours))

    def _history(self) -> list[str]:
        clients: list[PytestClient | RefusedClient] = [*self._clients, *self._refused]
        clients.sort(key=lambda client: client.number)
        lines = [line for client in clients for line in client.history()]
        if any(line.strip() == SERVER_SAID for line in lines):
            return lines
        return lines + [line for server in self._servers for line in story.printed(server.site.journal.timeline())]


def _admitted(journal: Journal, settle: float) -> str:
    """Return what shows that a client was not refused, in words."""
    if (served := journal.find("client", "first_data")) is not None:
        return f"admitted: its first data came {show_duration(round(max(0.0, served.t - journal.start), 3))} later"
    if (closed := journal.find("client", "close_received")) is not None:
        return f"admitted, and {ends.closing(closed)}"
    if journal.find("client", "ended") is not None:
        return "admitted, and its connection ended without a close frame"
    return f"admitted: no close frame came within {show_duration(settle)}"


class _DetectorOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of the pod's detector besides grace and poll, as written."""

    reap: Reap | None = None
    min_rate: ByteRate | None = None
    outage: Duration | None = None
    common_outage: Duration | None = None

    def read(self) -> DetectorOptions:
        return DetectorOptions(
            self.reap,
            self.min_rate and float(self.min_rate),
            self.outage and float(self.outage),
            common_outage=self.common_outage and float(self.common_outage),
        )


def _target(asked: Serve, terms: Timing, seed: int) -> tuple[Target, Edge | None]:
    """Return the checked target that a test describes, and the proxy in front of it.

    Raises InputError, and UnsupportedError if this machine has no such proxy.
    """
    spec = schema.convert(asked.target, TargetSpec, "server")
    if asked.file is None:
        spec = msgspec.structs.replace(spec, file=asked.written_in)
    else:
        spec = msgspec.structs.replace(load(Path(asked.file)), **{key: getattr(spec, key) for key in asked.target})
    spec.check()
    written = {name: value for name, value in asked.pod.items() if name in _DetectorOptions.__struct_fields__}
    pod = {name: value for name, value in asked.pod.items() if name not in written}
    detector_options = schema.convert(written, _DetectorOptions, "pod").read()
    request = RunRequest(seed=seed, grace=terms.grace, poll=terms.poll, target=spec, detector_options=detector_options)
    target = run_request.target_of(request, asked.detector, schema.convert(pod, PodSpec, "pod"))
    target.check()
    edge = None if spec.edge is None else Edge(proxy=spec.edge)
    if edge is not None and (lacking := lacking_proxy(edge)):
        raise UnsupportedError(f"edge {edge.proxy!r} {lacking}")
    return target, edge
