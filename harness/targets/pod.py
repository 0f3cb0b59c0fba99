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
from halfopen.clients._door import Door
from halfopen.model.journal import Journal
from halfopen.netns.lab import Lab
from halfopen.netns.units import plain
from halfopen.pod import detectors
from halfopen.pod.watchdog import Reap
from halfopen.scenario.spec import PodSpec
from halfopen.scenario.target_spec import TargetSpec
from halfopen.spawn.process import Process, Program
from halfopen.targets import tls
from halfopen.targets.base import Caller, HttpProbe, Place, Site, Status, not_in_a_container, with_query
from halfopen.targets.readiness import listening
from halfopen.targets.tls import Certificate

_SESSION_THREADS = ("runner-", "reader-", "watchdog-")


@dataclass(frozen=True, slots=True)
class RunningPod:
    """A pod that listens."""

    process: Process
    site: Site
    path: str
    authority: str | None = None

    def door(self, client_id: str, query: str = "") -> Door:
        """The client names itself, so that its session can be told from others."""
        scheme = "ws" if self.authority is None else "wss"
        named = with_query(f"{scheme}://{self.site.public}{self.path}", f"client={client_id}")
        return Door(url=with_query(named, query), authority=self.authority)

    def status(self) -> Status:
        """Its session list, seat, health, and the threads that serve sessions."""
        try:
            said = HttpProbe(self.site, self.authority).get_json("/status")
            return Status(
                sessions=said["sessions"],
                lock_held=said["lockHeld"],
                healthy=said["status"] == "healthy",
                session_threads=[name for name in said["threads"] if name.startswith(_SESSION_THREADS)],
            )
        except (OSError, ValueError, http.client.HTTPException) as error:
            return Status(problem=f"the pod could not be asked: {error}")

    def stacks(self) -> dict[str, list[str]]:
        """Where each of its threads is; raises OSError or ValueError."""
        found: dict[str, list[str]] = HttpProbe(self.site, self.authority).get_json("/threads")
        return found

    def show_stacks(self, _inode: int) -> None:
        """Where each of its threads is, as an event ``stacks``; nothing where it does not answer."""
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
            self.site.journal.note("target", "stacks", threads=self.stacks())

    def say(self, word: str) -> None:
        """Give it an order (halfopen.pod.control)."""
        self.process.write(f"{word}\n")

    def paused(self, _by: str) -> contextlib.AbstractContextManager[None]:
        """It is in no container; raises FaultError."""
        return not_in_a_container()

    def session_listed(self, status: Status, caller: Caller) -> bool | None:
        """Whether a session of this client is in the list."""
        if status.sessions is None:
            return None
        return any(session["client"] == caller.client_id for session in status.sessions)


class Knobs(msgspec.Struct, frozen=True):
    """What a detector can be told besides grace and poll; None: as it does by itself."""

    reap: Reap | None = None
    min_rate: float | None = None
    """Bytes a second."""
    outage: float | None = None
    """Seconds."""

    def arguments(self) -> list[str]:
        """As the options of the pod, which are also those of ``halfopen run``."""
        words = [] if self.reap is None else ["--reap", self.reap]
        words += [] if self.min_rate is None else ["--min-rate", f"{plain(self.min_rate)}B/s"]
        return words + ([] if self.outage is None else ["--outage", f"{plain(self.outage)}s"])


_BY_ITSELF = Knobs()
_AS_IT_IS = TargetSpec()


@dataclass(frozen=True, slots=True)
class PodTarget:
    """The built-in pod with one of its detectors; grace and poll in seconds."""

    detector: str
    grace: float
    poll: float
    asked: TargetSpec = _AS_IT_IS
    """What the command line says of it beside its detector."""
    spec: PodSpec = field(default_factory=PodSpec)
    knobs: Knobs = _BY_ITSELF
    held: bool = False
    """Whether its watchdog is to reap nobody until it is told to go on (halfopen.pod.holding)."""
    ping: float | None = None
    """The interval of its keepalive, seconds; None: the incident's."""
    kind: str = "pod"

    def check(self) -> None:
        """Raise InputError if there is no such detector."""
        plugins.load(detectors, self.detector, "detector", ("create",))

    def arguments(self) -> list[str]:
        """The pod is the default; its detector is told apart from it."""
        return [*self.asked.arguments(), *self.knobs.arguments()]

    def describe(self) -> dict[str, str]:
        """For results.json."""
        return {"kind": self.kind}

    @property
    def fixed_port(self) -> int | None:
        """It listens where it is told."""
        return None

    @contextlib.contextmanager
    def placed(self, lab: Lab, name: str, _port: int, _journal: Journal) -> Iterator[Place]:
        """A new host."""
        yield Place(lab.host(name), self.start)

    @contextlib.contextmanager
    def start(self, site: Site) -> Iterator[RunningPod]:
        """Start a pod with one seat and wait until it listens."""
        # -P: a folder called harness where the user happens to be must not stand in for ours.
        command = [sys.executable, "-P", "-m", "halfopen.pod", "--host", site.ip, "--port", str(site.port), "--control"]
        command += ["--detector", self.detector, "--grace", f"{self.grace:.6f}s", "--poll", f"{self.poll:.6f}s"]
        command += self._spec_words()
        command += self.knobs.arguments()

        def on_line(line: str) -> None:
            note_log_line(site, line)

        with self._certified(site.ip) as certificate:
            if certificate is not None:
                command += ["--tls-cert", str(certificate.chain), "--tls-key", str(certificate.key)]
            with listening(site, Program(command), on_line) as process:
                yield RunningPod(process, site, self.asked.path, str(certificate.authority) if certificate else None)

    def _certified(self, ip: str) -> contextlib.AbstractContextManager[Certificate | None]:
        return tls.certified(ip) if self.spec.tls or self.asked.tls else contextlib.nullcontext()

    def _spec_words(self) -> list[str]:
        """What the scenario asks of its pod, as options of ``python -m halfopen.pod``."""
        words = ["--slice-size", f"{self.spec.slice_size}B", "--slice-interval", f"{self.spec.slice_interval:.6f}s"]
        for option, value in (
            ("--quiet-after", self.spec.quiet_after),
            ("--quiet-for", self.spec.quiet_for),
            ("--session-limit", self.spec.session_limit),
        ):
            if value is not None:
                words += [option, f"{value.seconds(grace=self.grace, poll=self.poll):.6f}s"]
        words += [] if self.ping is None else ["--ping-interval", f"{self.ping:.6f}s"]
        return [*words, "--hold-watchdog"] if self.held else words


def note_log_line(site: Site, line: str) -> None:
    """Put one structured log line of the pod into the journal; anything else it prints is kept as text."""
    try:
        fields: dict[str, Any] = json.loads(line)
        at, name = fields.pop("t"), fields.pop("event")
    except (ValueError, KeyError, AttributeError):
        site.journal.note("target", "output", text=line)
    else:
        site.journal.note("target", name, at=at, **fields)
