"""Choose the clock and the kernel on which a request runs, and say why."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
import typer

from halfopen.cli.exits import isolated
from halfopen.errors import InputError
from halfopen.netns import capabilities
from halfopen.netns.guest import cache
from halfopen.netns.guest.cache import GuestKernel
from halfopen.netns.lab import lacking_disciplines
from halfopen.netns.lab_errors import IsolationError, UnsupportedError
from halfopen.run import profiling
from halfopen.run.hindrances import lack_of_discipline
from halfopen.run.request import RunRequest, jobs
from halfopen.run.runner import Job
from halfopen.scenario.spec import Scenario


class Clock(enum.StrEnum):
    """The clock: real, or virtual, on which waiting takes no time."""

    AUTO = "auto"
    REAL = "real"
    VIRTUAL = "virtual"


class Kernel(enum.StrEnum):
    """The kernel in which the lab is made."""

    AUTO = "auto"
    HOST = "host"
    GUEST = "guest"


@dataclass(frozen=True, slots=True)
class Placement:
    """A clock and a kernel. ``kernel`` is None for the machine's own."""

    clock: str
    kernel: GuestKernel | None
    why: str | None = None
    """Reason for a kernel that was not requested, or for the clock."""
    lacking: Mapping[str, str] = field(default_factory=dict)
    """Queueing disciplines that the kernel lacks, each with the command that helps."""

    @property
    def options(self) -> list[str]:
        """Options that choose the same placement again."""
        return ["--clock", self.clock, "--kernel", "host" if self.kernel is None else "guest"]


BUILD = "halfopen kernel build"
#: All queueing disciplines that scenarios may need.
DISCIPLINES = ("netem", "tbf")
#: The first of the exit codes that answer a question, which have no other meaning.
_ANSWER = 10


def place(request: RunRequest, clock: Clock, kernel: Kernel) -> tuple[RunRequest, list[Job], Placement]:
    """Return a request as it can be run here, its jobs and their placement; raises InputError, UnsupportedError."""
    if request.target.image is None:
        todo = jobs(request)
        placement = choose(clock, kernel, [job.scenario for job in todo])
        if not placement.lacking:
            return request, todo, placement
        request = msgspec.structs.replace(request, lacking=dict(placement.lacking))
    else:
        request, placement = beside_the_engine(request, clock, kernel)
    return request, jobs(request), placement


def profiled(
    request: RunRequest, requested: list[Job], placement: Placement
) -> tuple[RunRequest, list[Job], Placement]:
    """Return a request with an undisturbed session of each server beside its scenarios, where that is worth it."""
    seconds = profiling.duration(request, requested, placement.clock)
    if seconds is None:
        return request, requested, placement
    request = msgspec.structs.replace(request, profile_for=seconds)
    return request, jobs(request), placement


def beside_the_engine(request: RunRequest, clock: Clock, kernel: Kernel) -> tuple[RunRequest, Placement]:
    """Return a request for a container image as it can be run here, and its placement.

    Raises InputError if another placement is requested.
    """
    if clock is Clock.VIRTUAL or kernel is Kernel.GUEST:
        option = "--clock virtual" if clock is Clock.VIRTUAL else "--kernel guest"
        raise InputError(
            f"{option}: cannot be used with --image, because a guest kernel cannot reach the container engine; "
            "leave it out, or start the server itself with --server"
        )
    lacking = {kind: capabilities.how_to_get(f"sch_{kind}") for kind in _lacking(DISCIPLINES)}
    placement = Placement("real", None, "a guest has no container engine")
    return msgspec.structs.replace(request, lacking=lacking), placement


def _lacking(disciplines: Sequence[str]) -> list[str]:
    """Return those of these queueing disciplines that this kernel lacks; raises IsolationError."""

    def probe() -> int:
        lacking = lacking_disciplines(disciplines)
        return _ANSWER + sum(1 << n for n, kind in enumerate(disciplines) if kind in lacking)

    bits = isolated(probe, is_brief=True) - _ANSWER
    if not 0 <= bits < 1 << len(disciplines):  # explained already
        raise typer.Exit(bits + _ANSWER)
    return [kind for n, kind in enumerate(disciplines) if bits >> n & 1]


def choose(clock: Clock, kernel: Kernel, scenarios: Sequence[Scenario]) -> Placement:
    """Return the placement for these scenarios; raises InputError or UnsupportedError if there is none."""
    if clock is Clock.VIRTUAL and kernel is Kernel.HOST:
        raise InputError("--clock virtual: needs a guest kernel, which --kernel host excludes; leave one out")
    guest = cache.newest()
    if guest is None and (clock is Clock.VIRTUAL or kernel is Kernel.GUEST):
        option = "--clock virtual" if clock is Clock.VIRTUAL else "--kernel guest"
        raise InputError(f"{option}: there is no guest kernel; build it once with: {BUILD}")
    if guest is not None and clock is not Clock.REAL and kernel is not Kernel.HOST:
        lacking = None if clock is Clock.VIRTUAL else what_the_host_lacks(scenarios)
        why = None if clock is Clock.VIRTUAL else "a guest kernel is there"
        return Placement("virtual", guest, lacking.why if lacking else why)
    if guest is not None and kernel is Kernel.GUEST:
        return Placement("real", guest)
    lacking = what_the_host_lacks(scenarios)
    if lacking is None:
        return Placement("real", None)
    if guest is not None and kernel is not Kernel.HOST:
        return Placement("real", guest, lacking.why)
    remedy = BUILD if guest is None else "leave out --kernel host"
    if not lacking.disciplines:
        raise UnsupportedError(f"{lacking.why}; a guest kernel needs none of that, so: {remedy}")
    return Placement("real", None, lacking=dict.fromkeys(lacking.disciplines, remedy))


class HostLack(NamedTuple):
    """Features that this machine's own kernel lacks for some scenarios."""

    why: str
    """A sentence about the first of them."""
    disciplines: list[str]
    """The missing queueing disciplines; none if it allows no labs at all."""


def what_the_host_lacks(scenarios: Sequence[Scenario]) -> HostLack | None:
    """Return what these scenarios need and this machine's own kernel lacks; None if it has everything.

    Checked again at each call: a setting may have changed, or a module been loaded.
    """
    wanted = list(dict.fromkeys(kind for scenario in scenarios for kind in scenario.disciplines))
    try:
        lacking = _lacking(wanted)
    except IsolationError as error:
        return HostLack(f"this machine allows no labs ({error})", [])
    hindered = ((scenario, kind) for scenario in scenarios for kind in lacking if kind in scenario.disciplines)
    first, kind = next(hindered, (None, ""))
    if first is None:
        return None
    return HostLack(f"scenario {first.name!r} {lack_of_discipline(kind, first.disciplines[kind])}", lacking)
