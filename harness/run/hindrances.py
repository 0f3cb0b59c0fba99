"""Reasons to leave a scenario out: it does not fit the request, or this machine lacks something.

One rule holds for whatever a machine lacks: the scenarios that need it are left out and counted, with the command that
helps. A call is refused only if nothing of it would run.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from halfopen.netns import capabilities
from halfopen.scenario.spec import Edge, Scenario
from halfopen.scenario.target_spec import TargetSpec, split
from halfopen.targets.proxy import find_program

if TYPE_CHECKING:
    from halfopen.run.request import RunRequest


class Hindrance(NamedTuple):
    """The reason why a scenario cannot be run. Its sentence begins with the scenario."""

    why: str
    remedy: str = ""
    """The command that helps, or what to do; empty if ``why`` says it."""
    of_machine: bool = False
    """True if this machine lacks something. False: no machine can run this scenario as requested."""

    def __str__(self) -> str:
        return f"{self.why}; to run it: {self.remedy}" if self.remedy else self.why


class LeftOut(msgspec.Struct, frozen=True):
    """A requested scenario that is not run."""

    scenario: str
    suite: str
    why: str
    remedy: str = ""
    """The command that helps on this machine; empty if there is none."""
    candidate: str | None = None
    """The server, if several are compared."""


def notes(entries: Sequence[LeftOut]) -> list[str]:
    """Return a line for each reason: the names, the reason, and the command that helps."""
    by_reason: dict[Hindrance, dict[str, None]] = {}
    for entry in entries:
        by_reason.setdefault(Hindrance(entry.why, entry.remedy), {})[f"{entry.suite}/{entry.scenario}"] = None
    return [f"left out: {', '.join(names)} ({hindrance})" for hindrance, names in by_reason.items()]


def remedies(entries: Sequence[LeftOut]) -> list[str]:
    """Return a line for each command that would let this machine run more."""
    numbers: dict[str, int] = {}
    for entry in entries:
        if entry.remedy:
            numbers[entry.remedy] = numbers.get(entry.remedy, 0) + 1
    return [f"to run {number} of those left out: {remedy}" for remedy, number in numbers.items()]


def hindrance(request: RunRequest, scenario: Scenario) -> Hindrance | None:
    """Return the reason why a scenario cannot be run as requested on this machine."""
    return unfitness(request, scenario) or lack(request, scenario)


def unfitness(request: RunRequest, scenario: Scenario) -> Hindrance | None:
    """Return the reason why a scenario does not fit the rest of the request, on any machine."""
    why = _unfitness(request, scenario)
    return None if why is None else Hindrance(why)


def _unfitness(request: RunRequest, scenario: Scenario) -> str | None:
    server = request.target
    if not server.is_pod and scenario.detector is not None:
        return (
            f"shows the pod's detector {scenario.detector!r}, not a {server.option}; leave it out, or {server.option}"
        )
    if request.comparing and scenario.detector is not None:
        return f"shows the pod's detector {scenario.detector!r} and compares none; run it with: halfopen run"
    if not server.is_pod and scenario.needs_pod:
        return f"needs the built-in server (the pod); leave out the scenario, or {server.option}"
    if server.image is None and scenario.needs_container:
        return "pauses the server's container; give it one with --image"
    if scenario.edge is not None and (scenario.pod.tls or server.tls):
        return "has a proxy in front of its server, which passes on plain text only; leave out TLS, or the proxy"
    return None


def lack(request: RunRequest, scenario: Scenario) -> Hindrance | None:
    """Return what this machine lacks for a scenario."""
    for discipline, fields in scenario.disciplines.items():
        if discipline in request.lacking:
            return Hindrance(lack_of_discipline(discipline, fields), request.lacking[discipline], of_machine=True)
    if scenario.edge is not None and (lacking := lacking_proxy(scenario.edge)):
        return lacking
    # A single server that cannot be started is an error, and not left out: nothing would run.
    if request.comparing and (program := missing_program(request.target)):
        why = f"needs {program!r} for the server {request.target.name!r}, which is not installed"
        return Hindrance(why, of_machine=True)
    return None


def lack_of_discipline(discipline: str, fields: Sequence[str]) -> str:
    """Return a sentence, without its subject, on link settings that this kernel cannot carry out."""
    return (
        f"asks for {' and '.join(fields)} on its link, which needs sch_{discipline}, and this kernel "
        f"({capabilities.kernel_release()}) has none"
    )


def lacking_proxy(edge: Edge) -> Hindrance | None:
    """Return the need for a proxy that is not installed; None if it is."""
    if find_program(edge) is not None:
        return None
    why = f"needs {edge.module.PROGRAM}, which is not installed"
    return Hindrance(why, f"sudo apt-get install {edge.module.PACKAGE}", of_machine=True)


def missing_program(spec: TargetSpec) -> str | None:
    """Return the program of a server's command if it is not installed; None if it is, and for the pod and images."""
    if spec.server is None:
        return None
    program = split(spec.server)[0]
    if "/" in program:
        return None if Path(spec.folder or "", program).exists() else program
    path = spec.environment.get("PATH", os.environ.get("PATH", os.defpath))
    return None if shutil.which(program, path=path) else program
