"""The request of a ``halfopen run``, as one value that another process can be given, and the jobs that it makes."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from halfopen.errors import InputError
from halfopen.run.recorder import STEADY, SamplingRate
from halfopen.run.runner import Job
from halfopen.run.shards import Shard
from halfopen.scenario import suites
from halfopen.scenario.spec import Edge, PodSpec, Scenario
from halfopen.scenario.target_spec import TargetSpec
from halfopen.targets.command import CommandTarget
from halfopen.targets.image import ImageTarget
from halfopen.targets.pod import Knobs, PodTarget
from halfopen.targets.proxy import find_program
from halfopen.verdict.judge import Timing, hold

DEFAULT_DETECTOR = "bytes-acked"


class RunRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One call of ``halfopen run``. Durations in seconds."""

    seed: int
    grace: float
    poll: float
    names: list[str] = []
    target: TargetSpec = TargetSpec()
    """The server under test. Default: the pod."""
    targets: tuple[TargetSpec, ...] = ()
    """Several servers in place of ``target``, to be compared."""
    detectors: list[str] = []
    """Detectors of the pod. Empty: the scenario's own, or the default. More than one: to be compared."""
    comparing: bool = False
    knobs: Knobs = Knobs()
    hold: float | None = None
    least_hold: float = 0.0
    """Minimum hold of every session, whatever its scenario says."""
    ready: float = 30.0
    lacks_netem: bool = False
    """True if scenarios that need sch_netem are left out: this machine's kernel lacks it, and the container engine can
    only be reached from here."""
    repeat: int = 1
    shard: Shard | None = None
    """Do only this part of the runs."""
    sampling: SamplingRate = STEADY
    """Sampling rate of each session."""

    @property
    def terms(self) -> Timing:
        """Detector settings and hold limits for its scenarios."""
        return Timing(self.grace, self.poll, self.hold, self.least_hold)


@dataclass(frozen=True, slots=True)
class _Asked:
    """One requested run, which may be impossible here."""

    scenario: Scenario
    repeat: int
    hindrance: str | None


def jobs(call: RunRequest) -> list[Job]:
    """Return the requested jobs, in order; raises InputError for those that cannot be run as asked."""
    named = suites.find(call.names)
    return [job for each in _one_by_one(call) for job in _jobs(each, _found(each, named))]


def _jobs(call: RunRequest, found: list[Scenario]) -> list[Job]:
    names = _names(call, found)
    possible = [one for one in _asked(call, found) if one.hindrance is None]
    detectors: list[str | None] = [*call.detectors] or [None]
    todo = [
        Job(
            scenario=one.scenario,
            target=target,
            terms=call.terms,
            seed=call.seed,
            repeat=one.repeat,
            ready_within=call.ready,
            detector=target.detector if isinstance(target, PodTarget) else None,
            name=names[one.scenario.called],
            candidate=(detector or call.target.name) if call.comparing else None,
            sampling=call.sampling,
        )
        for detector in detectors
        for one in possible
        for target in [target_of(call, detector or _pods(call, one.scenario), one.scenario.pod)]
    ]
    for job in todo:
        job.target.check()
    _require_own_labels(todo)
    return todo


def left_out(call: RunRequest) -> list[str]:
    """Return a line for each reason to leave scenarios out: their names, the reason and the remedy."""
    named = suites.find(call.names)
    return list(dict.fromkeys(line for each in _one_by_one(call) for line in _left_out(each, _found(each, named))))


def _left_out(call: RunRequest, found: list[Scenario]) -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for one in _asked(call, found):
        if one.hindrance is not None:
            by_reason.setdefault(one.hindrance, []).append(one.scenario.called)
    return [f"left out: {', '.join(dict.fromkeys(names))} ({why})" for why, names in by_reason.items()]


def _one_by_one(call: RunRequest) -> list[RunRequest]:
    """Split a call with several servers into one call for each."""
    if not call.targets:
        return [call]
    return [msgspec.structs.replace(call, target=spec, targets=(), comparing=True) for spec in call.targets]


def _asked(call: RunRequest, found: list[Scenario]) -> list[_Asked]:
    """Return the requested runs, only its own of a shard; raises InputError if none of them is possible here."""
    call.target.check()
    unfit = [_Asked(scenario, 1, why) for scenario in found if (why := _unfitness(call, scenario))]
    fitting = [scenario for scenario in found if not _unfitness(call, scenario)]
    wanted = [_Asked(scenario, n, _lacking(call, scenario)) for n in range(1, call.repeat + 1) for scenario in fitting]
    if call.shard is not None and wanted:
        # Divided before checking what this machine lacks, which must not change the other shards.
        wanted = [wanted[number] for number in call.shard.of([hold(one.scenario, call.terms) for one in wanted])]
    if all(one.hindrance is not None for one in wanted):
        first = (unfit or wanted)[0]
        raise InputError(f"scenario {first.scenario.name!r} {first.hindrance}")
    return unfit + wanted


def _names(call: RunRequest, found: list[Scenario]) -> dict[str, str]:
    """Return a distinct label for each scenario that fits the call, from its ``called``; the same in every shard."""
    fitting = [scenario for scenario in found if not _unfitness(call, scenario)]
    return dict(zip([scenario.called for scenario in fitting], suites.tell_apart(fitting), strict=True))


def asked(call: RunRequest) -> list[tuple[Scenario, str | None]]:
    """Return the requested scenarios, each with the reason why it cannot be run here; raises InputError."""
    call.target.check()
    found = _found(call, suites.find(call.names))
    return [(scenario, _unfitness(call, scenario) or _lacking(call, scenario)) for scenario in found]


def _found(call: RunRequest, named: list[Scenario]) -> list[Scenario]:
    """Return the named scenarios, each with the requested proxy in front of its server."""
    if call.target.edge is None:
        return named
    edge = Edge(proxy=call.target.edge)
    return [msgspec.structs.replace(scenario, edge=edge) for scenario in named]


def _unfitness(call: RunRequest, scenario: Scenario) -> str | None:
    """Return the reason why a scenario does not fit the rest of the call, on any machine."""
    server = call.target
    if not server.is_pod and scenario.detector is not None:
        return (
            f"shows the pod's detector {scenario.detector!r}, not a {server.option}; leave it out, or {server.option}"
        )
    if call.comparing and scenario.detector is not None:
        return f"shows the pod's detector {scenario.detector!r} and compares none; run it with: halfopen run"
    if not server.is_pod and scenario.needs_pod:
        return f"needs the built-in server (the pod); leave out the scenario, or {server.option}"
    if server.image is None and scenario.needs_container:
        return "pauses the server's container; give it one with --image"
    if scenario.edge is not None and (scenario.pod.tls or server.tls):
        return "has a proxy in front of its server, and those here pass plain text on: it goes without TLS"
    return None


def _lacking(call: RunRequest, scenario: Scenario) -> str | None:
    """Return the reason why a scenario cannot be run on this machine."""
    if call.lacks_netem and (fields := scenario.netem_fields):
        return (
            f"asks for {' and '.join(fields)} on its link, which needs sch_netem: this kernel has none, and what runs "
            "in a guest that has it is out of the engine's reach"
        )
    return None if scenario.edge is None else lacking_proxy(scenario.edge)


def lacking_proxy(edge: Edge) -> str | None:
    """Return what to install before this proxy can be used; None if it is there."""
    if find_program(edge) is not None:
        return None
    return f"needs {edge.module.PROGRAM}, which is not installed: apt install {edge.module.PACKAGE}"


def _pods(call: RunRequest, scenario: Scenario) -> str | None:
    """Return the pod's detector that a scenario is meant for."""
    return scenario.detector if call.target.is_pod else None


def target_of(call: RunRequest, detector: str | None, pod: PodSpec) -> PodTarget | CommandTarget | ImageTarget:
    """Return the server under test, unchecked. ``detector`` and ``pod`` are for the pod. Raises InputError."""
    spec = call.target
    if spec.is_pod:
        return PodTarget(detector or DEFAULT_DETECTOR, call.grace, call.poll, spec, pod, call.knobs)
    require_no_detector(spec, detector)
    if knobs := call.knobs.arguments():
        raise InputError(
            f"{knobs[0]} {knobs[1]} is for the pod's detector; it has no effect on {spec.option}, so leave one out"
        )
    return CommandTarget(spec) if spec.image is None else ImageTarget(spec)


def require_no_detector(spec: TargetSpec, detector: str | None) -> None:
    """Refuse a detector of the pod for another server; raises InputError."""
    if detector is not None:
        raise InputError(f"--detector {detector!r} is the pod's; it has no effect on {spec.option}, so leave one out")


def _require_own_labels(todo: list[Job]) -> None:
    """Refuse two runs with the same label and file; raises InputError."""
    seen: dict[str, Job] = {}
    for job in todo:
        other = seen.setdefault(str(job.timeline_file), job)
        if other is not job:
            raise InputError(
                f"two runs would both be called {job.timeline_file.stem!r}: {other.scenario.called} and "
                f"{job.scenario.called}; rename one file, or run them apart"
            )
