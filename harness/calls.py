"""What a user asks ``halfopen run`` for: as one value that can be handed to another process, and the jobs it makes."""

from __future__ import annotations

import msgspec

from harness import suites
from harness.errors import InputError
from harness.judge import Terms
from harness.runner import Job
from harness.scenario import Scenario
from harness.targets.command import CommandTarget
from harness.targets.pod import Knobs, PodTarget

DEFAULT_DETECTOR = "bytes-acked"


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call of ``halfopen run``. Durations in seconds."""

    seed: int
    grace: float
    poll: float
    names: list[str] = []
    server: str | None = None
    path: str = "/"
    sessions: str | None = None
    detector: str | None = None
    knobs: Knobs = Knobs()
    hold: float | None = None
    ready: float = 30.0
    repeat: int = 1


def jobs(call: Call) -> list[Job]:
    """The runs it asks for, in order; raises InputError for what cannot be run as asked."""
    scenarios = suites.find(call.names)
    targets = [_target(call, scenario) for scenario in scenarios]
    for target in targets:
        target.check()
    todo = [
        Job(
            scenario=scenario,
            target=target,
            terms=Terms(call.grace, call.poll, call.hold),
            seed=call.seed,
            repeat=number,
            ready_within=call.ready,
            detector=target.detector if isinstance(target, PodTarget) else None,
        )
        for number in range(1, call.repeat + 1)
        for scenario, target in zip(scenarios, targets, strict=True)
    ]
    _require_own_labels(todo)
    return todo


def _target(call: Call, scenario: Scenario) -> PodTarget | CommandTarget:
    if not call.path.startswith("/"):
        raise InputError(
            f"--path {call.path!r} is no path on a server; write it with a slash in front: {'/' + call.path!r}"
        )
    if call.server is not None:
        if scenario.detector is not None:
            raise InputError(
                f"scenario {scenario.name!r} shows the pod's detector {scenario.detector!r}, not a --server; "
                "leave it out, or --server"
            )
        if call.detector is not None:
            raise InputError(
                f"--detector {call.detector!r} is the pod's; it has no effect on --server, so leave one out"
            )
        if knobs := call.knobs.arguments():
            raise InputError(
                f"{knobs[0]} {knobs[1]} is for the pod's detector; it has no effect on --server, so leave one out"
            )
        return CommandTarget(call.server, call.path, call.sessions)
    if call.sessions is not None:
        raise InputError(f"--sessions {call.sessions!r} goes with --server; the pod's own list is asserted anyway")
    detector = call.detector or scenario.detector or DEFAULT_DETECTOR
    return PodTarget(detector, call.grace, call.poll, call.path, scenario.pod, call.knobs)


def _require_own_labels(todo: list[Job]) -> None:
    """Refuse two runs that would be called, and write, the same; raises InputError."""
    seen: dict[str, Job] = {}
    for job in todo:
        other = seen.setdefault(job.label, job)
        if other is not job:
            raise InputError(
                f"two runs would both be called {job.label!r}: {other.scenario.called} and {job.scenario.called}; "
                "rename one file, or run them apart"
            )
