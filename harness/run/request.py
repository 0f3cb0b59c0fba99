"""A request to run scenarios, as one value that can be passed to another process, and the jobs that it makes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from halfopen.errors import InputError
from halfopen.run.hindrances import Hindrance, LeftOut, hindrance, lack, unfitness
from halfopen.run.recorder import STEADY, SamplingRate
from halfopen.run.runner import Job
from halfopen.run.shards import Shard
from halfopen.scenario import suites
from halfopen.scenario.spec import Edge, PodSpec, Scenario
from halfopen.scenario.target_spec import TargetSpec
from halfopen.targets.command import CommandTarget, guard_words
from halfopen.targets.image import ImageTarget
from halfopen.targets.pod import DetectorOptions, PodTarget
from halfopen.verdict.judge import Timing, hold

DEFAULT_DETECTOR = "bytes-acked"


class RunRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request to run scenarios. Durations in seconds."""

    seed: int
    grace: float
    poll: float
    names: list[str] = []
    exclude: list[str] = []
    """Scenarios and suites to leave out of ``names``."""
    target: TargetSpec = TargetSpec()
    """The server under test. Default: the pod."""
    targets: tuple[TargetSpec, ...] = ()
    """Several servers in place of ``target``, to be compared."""
    detectors: list[str] = []
    """Detectors of the pod. Empty: the scenario's own, or the default. More than one: to be compared."""
    comparing: bool = False
    detector_options: DetectorOptions = DetectorOptions()
    hold: float | None = None
    least_hold: float = 0.0
    """Minimum hold of every session, whatever its scenario says."""
    ready: float = 30.0
    lacking: dict[str, str] = {}
    """Queueing disciplines that the chosen kernel lacks, such as ``"netem"``, each with the command that helps.

    Scenarios that need one are left out.
    """
    repeat: int = 1
    shard: Shard | None = None
    """Do only this part of the runs."""
    sampling: SamplingRate = STEADY
    """Sampling rate of each session."""
    profile_for: float | None = None
    """Seconds for which to observe an undisturbed session of each server; None: no such session."""

    @property
    def terms(self) -> Timing:
        """Detector settings and hold limits for its scenarios."""
        return Timing(self.grace, self.poll, self.hold, self.least_hold)


class _Run(NamedTuple):
    """One requested run. ``hindrance`` is the reason why it is impossible here."""

    scenario: Scenario
    repeat: int
    hindrance: Hindrance | None


class _Server(NamedTuple):
    """The part of a request that concerns one server."""

    request: RunRequest
    scenarios: list[Scenario]
    runs: list[_Run]


def jobs(request: RunRequest) -> list[Job]:
    """Return the requested jobs, in order; raises InputError for those that cannot be run, or if none can be."""
    servers = list(_by_server(request))
    runs = [run for server in servers for run in server.runs]
    if all(run.hindrance is not None for run in runs):
        raise InputError(_nothing_to_run(runs))
    return [job for server in servers for job in _jobs(*server)]


def _nothing_to_run(runs: Sequence[_Run]) -> str:
    """Describe the reason why no run is possible: of those that fit the request, if there are any."""
    hindrances = [(run.scenario, run.hindrance) for run in runs if run.hindrance is not None]
    scenario, hindrance = min(hindrances, key=lambda hindered: not hindered[1].of_machine)
    return f"scenario {scenario.name!r} {hindrance}"


def _jobs(request: RunRequest, scenarios: Sequence[Scenario], runs: Sequence[_Run]) -> list[Job]:
    possible = [run for run in runs if run.hindrance is None]
    # The same labels in every shard.
    fitting = [scenario for scenario in scenarios if not unfitness(request, scenario)]
    labels = dict(zip([scenario.called for scenario in fitting], suites.tell_apart(fitting), strict=True))
    detectors: list[str | None] = [*request.detectors] or [None]
    todo = [
        Job(
            scenario=run.scenario,
            target=target,
            terms=request.terms,
            seed=request.seed,
            repeat=run.repeat,
            ready_within=request.ready,
            detector=target.detector if isinstance(target, PodTarget) else None,
            name=labels[run.scenario.called],
            candidate=(detector or request.target.name) if request.comparing else None,
            sampling=request.sampling,
        )
        for detector in detectors
        for run in possible
        for own in [run.scenario.detector if request.target.is_pod else None]
        for target in [target_of(request, detector or own, run.scenario.pod_at_start)]
    ]
    if request.profile_for is not None and todo and not request.target.is_pod:
        todo.insert(0, profile_job(request, todo[0]))
    for job in todo:
        job.target.check()
    _require_own_labels(todo)
    return todo


def profile_job(request: RunRequest, other: Job) -> Job:
    """Return the job that observes an undisturbed session of the same server as another job."""
    assert request.profile_for is not None
    terms = Timing(request.profile_for, request.poll)
    return dataclasses.replace(
        other, scenario=suites.profile(), terms=terms, repeat=1, name=f"{suites.PROFILE} (undisturbed)"
    )


def left_out(request: RunRequest) -> list[LeftOut]:
    """Return the requested scenarios that are not run, each once for each server that is compared."""
    entries = [
        LeftOut(
            scenario=run.scenario.name,
            suite=run.scenario.suite,
            why=run.hindrance.why,
            remedy=run.hindrance.remedy,
            candidate=each.target.name if request.targets else None,
        )
        for each, _, runs in _by_server(request)
        for run in runs
        if run.hindrance is not None
    ]
    return list(dict.fromkeys(entries))


def asked(request: RunRequest) -> list[tuple[Scenario, str | None]]:
    """Return the requested scenarios, each with the reason why it cannot be run here; raises InputError."""
    request.target.check()
    scenarios = _behind_proxy(request, _named(request))
    hindered = [(scenario, hindrance(request, scenario)) for scenario in scenarios]
    return [(scenario, None if why is None else str(why)) for scenario, why in hindered]


def _by_server(request: RunRequest) -> Iterator[_Server]:
    """Yield each server's part. The scenarios are read once, however many servers there are."""
    named: dict[bool, list[Scenario]] = {}
    each = [msgspec.structs.replace(request, target=spec, targets=(), comparing=True) for spec in request.targets]
    for one_server in each or [request]:
        if one_server.target.is_pod not in named:
            named[one_server.target.is_pod] = _named(one_server)
        scenarios = _behind_proxy(one_server, named[one_server.target.is_pod])
        yield _Server(one_server, scenarios, _runs(one_server, scenarios))


def _named(request: RunRequest) -> list[Scenario]:
    """Read the requested scenarios; raises InputError."""
    return suites.find(request.names, pod=request.target.is_pod and not request.targets, exclude=request.exclude)


def _behind_proxy(request: RunRequest, scenarios: list[Scenario]) -> list[Scenario]:
    """Return the scenarios, each with the requested proxy in front of its server, if any."""
    if request.target.edge is None:
        return scenarios
    edge = Edge(proxy=request.target.edge)
    return [msgspec.structs.replace(scenario, edge=edge) for scenario in scenarios]


def _runs(request: RunRequest, scenarios: list[Scenario]) -> list[_Run]:
    """Return the requested runs, of a shard only its own."""
    request.target.check()
    unfit = [_Run(scenario, 1, why) for scenario in scenarios if (why := unfitness(request, scenario))]
    wanted = [
        _Run(scenario, repeat, lack(request, scenario))
        for repeat in range(1, request.repeat + 1)
        for scenario in scenarios
        if not unfitness(request, scenario)
    ]
    if request.shard is not None and wanted:
        # Divided before checking what this machine lacks, which must not change the other shards.
        wanted = [wanted[number] for number in request.shard.of([hold(run.scenario, request.terms) for run in wanted])]
    return unfit + wanted


def target_of(request: RunRequest, detector: str | None, pod: PodSpec) -> PodTarget | CommandTarget | ImageTarget:
    """Return the server under test, unchecked. ``detector`` and ``pod`` are for the pod. Raises InputError."""
    spec = request.target
    if spec.is_pod:
        return PodTarget(detector or DEFAULT_DETECTOR, request.grace, request.poll, spec, pod, request.detector_options)
    require_no_detector(spec, detector)
    if words := request.detector_options.arguments():
        raise InputError(f"{words[0]} {words[1]}: is for the pod and has no effect on {spec.option}; leave one out")
    if spec.image is not None:
        return ImageTarget(spec)
    return CommandTarget(spec, guard_words(request.grace, request.poll) if spec.guard else ())


def require_no_detector(spec: TargetSpec, detector: str | None) -> None:
    """Refuse a detector of the pod for another server; raises InputError."""
    if detector is not None:
        raise InputError(f"--detector {detector!r}: is the pod's and has no effect on {spec.option}; leave one out")


def _require_own_labels(todo: list[Job]) -> None:
    """Refuse two runs with the same label and file; raises InputError."""
    seen: dict[str, Job] = {}
    for job in todo:
        other = seen.setdefault(str(job.timeline_file), job)
        if other is not job:
            raise InputError(
                f"{other.scenario.called}, {job.scenario.called}: both runs would be called "
                f"{job.timeline_file.stem!r}; rename one file, or run them separately"
            )
