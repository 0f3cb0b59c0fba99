"""Servers of a test's lab, each on a host of its own, with a proxy in front on request."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from halfopen.errors import InputError
from halfopen.model import schema
from halfopen.model.journal import Journal
from halfopen.netns.host import Host
from halfopen.netns.lab import Lab
from halfopen.netns.units import ByteRate, Duration
from halfopen.pod.watchdog import Reap
from halfopen.run import request
from halfopen.run.proxy_path import Route, lead_to
from halfopen.run.request import RunRequest
from halfopen.scenario.spec import Edge, PodSpec
from halfopen.scenario.target_spec import TargetSpec, load
from halfopen.targets.base import Running, Target
from halfopen.targets.pod import DetectorOptions
from halfopen.testing.messages import Serve
from halfopen.verdict.judge import Timing


class _DetectorOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of the pod's detector besides grace and poll, as written."""

    reap: Reap | None = None
    min_rate: ByteRate | None = None
    outage: Duration | None = None

    def read(self) -> DetectorOptions:
        return DetectorOptions(self.reap, self.min_rate and float(self.min_rate), self.outage and float(self.outage))


class ServerJournal(Journal):
    """Events of a server, copied to the journals of all its clients' sessions."""

    def __init__(self) -> None:
        super().__init__()
        self.followers: list[Journal] = []

    def note(self, kind: str, name: str, at: float | None = None, **data: Any) -> None:
        """Record an event here and in every follower."""
        moment = time.monotonic() if at is None else at
        super().note(kind, name, moment, **data)
        for journal in list(self.followers):
            journal.note(kind, name, moment, **data)


@dataclass
class Served:
    """A server that listens."""

    running: Running
    way: Route
    journal: ServerJournal
    clients: int = 0

    def take_one_more(self) -> None:
        """Count a client; raises InputError if it could not be told from another."""
        self.clients += 1
        if self.way.edge is not None and self.clients > 1:
            raise InputError(
                f"a server behind {self.way.edge.proxy} takes one client here: all come from the proxy's address, and "
                "no session could be told from another; serve it a second time for the second client"
            )


def target_of(asked: Serve, terms: Timing, seed: int) -> tuple[Target, Edge | None]:
    """Return the checked target that a test describes, and the proxy in front of it; raises InputError."""
    spec = _spec(asked)
    spec.check()
    detector_options = schema.convert(asked.detector_options, _DetectorOptions, "pod").read()
    call = RunRequest(seed=seed, grace=terms.grace, poll=terms.poll, target=spec, detector_options=detector_options)
    target = request.target_of(call, asked.detector, schema.convert(asked.pod, PodSpec, "pod"))
    target.check()
    edge = None if spec.edge is None else Edge(proxy=spec.edge)
    if edge is not None and (lacking := request.lacking_proxy(edge)):
        raise InputError(f"edge {edge.proxy!r} {lacking}")
    return target, edge


def _spec(asked: Serve) -> TargetSpec:
    said = schema.convert(asked.target, TargetSpec, "server")
    if asked.file is None:
        return msgspec.structs.replace(said, file=asked.written_in)
    return msgspec.structs.replace(load(Path(asked.file)), **{key: getattr(said, key) for key in asked.target})


@contextlib.contextmanager
def start(
    lab: Lab, router: Host, target: Target, edge: Edge | None, suffix: str, port: int, ready: float
) -> Iterator[Served]:
    """Start the target behind the router, with its edge if any; raises TargetError."""
    journal = ServerJournal()
    port = target.fixed_port or port
    with target.placed(lab, f"server{suffix}", port, journal) as place:
        way = lead_to(place.host, lab, router, edge, port=port, journal=journal, ready_within=ready)
        with place.start(way.site) as running, way.proxied(journal):
            yield Served(running, way, journal)
