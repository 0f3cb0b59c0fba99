"""What a user asks ``halfopen run`` for: as one value that can be handed to another process, and the jobs it makes."""

from __future__ import annotations

import msgspec

from harness import suites
from harness.edge._running import find_program
from harness.errors import InputError
from harness.judge import Terms
from harness.runner import Job
from harness.scenario import Edge, Scenario
from harness.target_spec import TargetSpec
from harness.targets.command import CommandTarget
from harness.targets.image import ImageTarget
from harness.targets.pod import Knobs, PodTarget

DEFAULT_DETECTOR = "bytes-acked"


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call of ``halfopen run``. Durations in seconds."""

    seed: int
    grace: float
    poll: float
    names: list[str] = []
    target: TargetSpec = TargetSpec()
    """The server under test; by itself the pod."""
    detectors: list[str] = []
    """The pod's; none: the scenario's own, or the default. More than one: to be compared."""
    comparing: bool = False
    knobs: Knobs = Knobs()
    hold: float | None = None
    ready: float = 30.0
    lacks_netem: bool = False
    """Whether what needs sch_netem is left out: this machine's kernel has none, and only there is an engine."""
    repeat: int = 1


def jobs(call: Call) -> list[Job]:
    """The runs it asks for, in order; raises InputError for what cannot be run as asked."""
    scenarios = [scenario for scenario, hindrance in _asked(call) if hindrance is None]
    names = suites.tell_apart(scenarios)
    detectors: list[str | None] = [*call.detectors] or [None]
    todo = [
        Job(
            scenario=scenario,
            target=target,
            terms=Terms(call.grace, call.poll, call.hold),
            seed=call.seed,
            repeat=number,
            ready_within=call.ready,
            detector=target.detector if isinstance(target, PodTarget) else None,
            name=name,
            compared=call.comparing,
        )
        for detector in detectors
        for number in range(1, call.repeat + 1)
        for scenario, name in zip(scenarios, names, strict=True)
        for target in [_target(call, scenario, detector)]
    ]
    for job in todo:
        job.target.check()
    _require_own_labels(todo)
    return todo


def left_out(call: Call) -> list[str]:
    """A line for each reason for which scenarios are left out of the runs: which, why, and what to do."""
    by_reason: dict[str, list[str]] = {}
    for scenario, hindrance in _asked(call):
        if hindrance is not None:
            by_reason.setdefault(hindrance, []).append(scenario.called)
    return [f"left out: {', '.join(names)} ({why})" for why, names in by_reason.items()]


def _asked(call: Call) -> list[tuple[Scenario, str | None]]:
    """The scenarios that are meant, each with why it cannot be run here; raises InputError if none can."""
    call.target.check()
    asked = [(scenario, _hindrance(call, scenario)) for scenario in _found(call)]
    if all(hindrance is not None for _, hindrance in asked):
        scenario, hindrance = asked[0]
        raise InputError(f"scenario {scenario.name!r} {hindrance}")
    return asked


def _found(call: Call) -> list[Scenario]:
    """The scenarios that are named, with the proxy that was asked for in front of the server in each."""
    found = suites.find(call.names)
    if call.target.edge is None:
        return found
    edge = Edge(proxy=call.target.edge)
    return [msgspec.structs.replace(scenario, edge=edge) for scenario in found]


def _hindrance(call: Call, scenario: Scenario) -> str | None:
    server = call.target
    if not server.is_pod and scenario.detector is not None:
        return (
            f"shows the pod's detector {scenario.detector!r}, not a {server.option}; leave it out, or {server.option}"
        )
    if call.comparing and scenario.detector is not None:
        return f"shows the pod's detector {scenario.detector!r} and compares none; run it with: halfopen run"
    if not server.is_pod and scenario.needs_pod:
        return f"asks for what only the pod does, not a {server.option}; leave one out"
    if server.image is None and scenario.needs_container:
        return "pauses the server's container; give it one with --image"
    if call.lacks_netem and (fields := scenario.netem_fields):
        return (
            f"asks for {' and '.join(fields)} on its link, which needs sch_netem: this kernel has none, and what runs "
            "in a guest that has it is out of the engine's reach"
        )
    if scenario.edge is not None and (scenario.pod.tls or server.tls):
        return "has a proxy in front of its server, and those here pass plain text on: it goes without TLS"
    if scenario.edge is not None and find_program(scenario.edge) is None:
        module = scenario.edge.module
        return f"needs {module.PROGRAM}, which is not installed: apt install {module.PACKAGE}"
    return None


def _target(call: Call, scenario: Scenario, detector: str | None) -> PodTarget | CommandTarget | ImageTarget:
    spec = call.target
    if spec.is_pod:
        detector = detector or scenario.detector or DEFAULT_DETECTOR
        return PodTarget(detector, call.grace, call.poll, spec, scenario.pod, call.knobs)
    if detector is not None:
        raise InputError(f"--detector {detector!r} is the pod's; it has no effect on {spec.option}, so leave one out")
    if knobs := call.knobs.arguments():
        raise InputError(
            f"{knobs[0]} {knobs[1]} is for the pod's detector; it has no effect on {spec.option}, so leave one out"
        )
    return CommandTarget(spec) if spec.image is None else ImageTarget(spec)


def _require_own_labels(todo: list[Job]) -> None:
    """Refuse two runs that would be called, and write, the same; raises InputError."""
    seen: dict[str, Job] = {}
    for job in todo:
        other = seen.setdefault(str(job.timeline_file), job)
        if other is not job:
            raise InputError(
                f"two runs would both be called {job.timeline_file.stem!r}: {other.scenario.called} and "
                f"{job.scenario.called}; rename one file, or run them apart"
            )
