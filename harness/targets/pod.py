"""The built-in pod as the server under test."""

from __future__ import annotations

import contextlib
import http.client
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from halfopen import plugins
from halfopen.clients._messages import Endpoint
from halfopen.liveness.death import Reap
from halfopen.model.expressions import Expression
from halfopen.model.journal import Journal
from halfopen.model.pod_api import PodApi
from halfopen.netns.lab import Lab
from halfopen.netns.units import plain
from halfopen.pod import detectors
from halfopen.scenario.spec import PodSpec
from halfopen.scenario.target_spec import TargetSpec
from halfopen.spawn.process import Process, Program
from halfopen.targets import tls
from halfopen.targets.base import Caller, Place, Running, Site, Status, Target
from halfopen.targets.readiness import listening

_SESSION_THREADS = ("runner-", "reader-", "watchdog-")


@dataclass(frozen=True, slots=True)
class RunningPod(Running):
    """A listening pod."""

    process: Process
    path: str

    def endpoint(self, client_id: str, query: str = "", *, user: str = "") -> Endpoint:  # noqa: ARG002 (it knows none)
        """Return an endpoint that contains the client's id, so that its session is distinguishable."""
        return Endpoint(url=self.url(self.path, f"client={client_id}", query), authority=self.authority)

    def status(self) -> Status:
        """Return its session list, seat, health, and the threads that serve sessions."""
        try:
            answer = self.get_json("/status")
            return Status(
                sessions=answer["sessions"],
                lock_held=answer["lockHeld"],
                healthy=answer["status"] == "healthy",
                session_threads=[name for name in answer["threads"] if name.startswith(_SESSION_THREADS)],
            )
        except (OSError, ValueError, http.client.HTTPException) as error:
            return Status(problem=f"the pod did not answer: {error}")

    @property
    def prints_stacks(self) -> bool:
        """Always true."""
        return True

    def show_stacks(self, _inode: int) -> None:
        """Note the stacks of its threads as an event ``stacks``; do nothing if it does not answer."""
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
            self.site.journal.note("target", "stacks", threads=self.get_json("/threads"))

    def say(self, word: str) -> None:
        """Send it an order (halfopen.pod.__main__)."""
        self.process.write(f"{word}\n")

    def session_listed(self, status: Status, caller: Caller) -> bool | None:
        """True if a session of this client is in the list."""
        if status.sessions is None:
            return None
        return any(session["client"] == caller.client_id for session in status.sessions)


class DetectorOptions(msgspec.Struct, frozen=True):
    """Options of a detector besides grace and poll, and of the pod that it is in; None: the default."""

    reap: Reap | None = None
    min_rate: float | None = None
    """Bytes per second."""
    outage: float | None = None
    """Seconds."""
    pod_api: PodApi | None = None
    """API of websockets that the pod is built on."""
    common_outage: float | None = None
    """Seconds."""

    def arguments(self) -> list[str]:
        """Return them as options of the pod, which ``halfopen run`` has too."""
        words = [] if self.reap is None else ["--reap", self.reap]
        words += [] if self.min_rate is None else ["--min-rate", f"{plain(self.min_rate)}B/s"]
        words += [] if self.outage is None else ["--outage", f"{plain(self.outage)}s"]
        words += [] if self.common_outage is None else ["--common-outage", f"{plain(self.common_outage)}s"]
        return words + ([] if self.pod_api is None else ["--pod-api", self.pod_api])


@dataclass(frozen=True, slots=True)
class PodTarget(Target):
    """The built-in pod with one of its detectors; grace and poll in seconds."""

    detector: str
    grace: float
    poll: float
    asked: TargetSpec = field(default_factory=TargetSpec)
    """Options from the command line besides the detector."""
    spec: PodSpec = field(default_factory=PodSpec)
    detector_options: DetectorOptions = field(default_factory=DetectorOptions)
    held: bool = False
    """True if its watchdog must reap no session until it is released (halfopen.pod.detector_hold)."""
    ping: float | None = None
    """Interval of its keepalive, seconds; None: that of the incident."""

    def check(self) -> None:
        """Raise InputError if there is no such detector, or none with this API."""
        detectors.require_api(plugins.load(detectors, self.detector), self.detector, self.api)

    @property
    def api(self) -> PodApi:
        """API of websockets: that of the command line, of the target's file, or of the scenario."""
        asked = self.asked.pod and self.asked.pod.api
        return self.detector_options.pod_api or asked or self.spec.api or "sync"

    def arguments(self) -> list[str]:
        """Return the options except the detector. The pod is the default; its detector is given separately."""
        return [*self.asked.arguments(), *self.detector_options.arguments()]

    def describe(self) -> dict[str, str]:
        """Return the fields for results.json."""
        return {"kind": "pod"} if self.api == "sync" else {"kind": "pod", "api": self.api}

    @contextlib.contextmanager
    def placed(self, lab: Lab, name: str, _port: int, _journal: Journal) -> Iterator[Place]:
        """Create a host."""
        yield Place(lab.host(name), self.start)

    @contextlib.contextmanager
    def start(self, site: Site) -> Iterator[RunningPod]:
        """Start a pod with one seat and wait until it listens."""
        with tls.certified(site.ip) if self.spec.tls or self.asked.tls else contextlib.nullcontext() as certificate:
            words = self._words(site)
            if certificate is not None:
                words += ["--tls-cert", str(certificate.chain), "--tls-key", str(certificate.key)]
            # -P: a folder called harness in the user's working directory must not replace ours.
            program = Program([sys.executable, "-P", "-m", "halfopen.pod", *words])
            with listening(site, program, lambda line: note_log_line(site, line)) as process:
                authority = str(certificate.authority) if certificate else None
                yield RunningPod(process, site, authority, self.asked.path)

    def _words(self, site: Site) -> list[str]:
        """Return the options of ``python -m halfopen.pod``."""

        def seconds(value: Expression | None) -> float | None:
            return None if value is None else value.seconds(grace=self.grace, poll=self.poll)

        words = ["--host", site.ip, "--port", str(site.port), "--control", "--detector", self.detector]
        options = msgspec.structs.replace(self.detector_options, pod_api=self.api)
        words += ["--slice-size", f"{self.spec.slice_size}B", *options.arguments()]
        durations = {
            "--grace": self.grace,
            "--poll": self.poll,
            "--slice-interval": self.spec.slice_interval,
            "--quiet-after": seconds(self.spec.quiet_after),
            "--quiet-for": seconds(self.spec.quiet_for),
            "--session-limit": seconds(self.spec.session_limit),
            "--ping-interval": self.ping,
        }
        words += [] if self.spec.seats is None else ["--seats", str(self.spec.seats)]
        for option, value in durations.items():
            words += [] if value is None else [option, f"{value:.6f}s"]
        return [*words, "--hold-watchdog"] if self.held else words


def note_log_line(site: Site, line: str) -> None:
    """Note one structured log line of the pod in the journal; other output is kept as text."""
    try:
        fields: dict[str, Any] = json.loads(line)
        at, name = fields.pop("t"), fields.pop("event")
    except (ValueError, KeyError, AttributeError):
        site.journal.note("target", "output", text=line)
    else:
        site.journal.note("target", name, at=at, **fields)
