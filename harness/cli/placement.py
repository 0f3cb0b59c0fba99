"""Choose the clock and the kernel on which a request runs, and say why."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import typer

from halfopen.cli.exits import isolated
from halfopen.errors import InputError
from halfopen.netns import capabilities
from halfopen.netns.guest import cache
from halfopen.netns.guest.cache import GuestKernel
from halfopen.netns.lab import kernel_has_discipline
from halfopen.netns.lab_errors import IsolationError, UnsupportedError
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

    @property
    def options(self) -> list[str]:
        """Options that choose the same placement again."""
        return ["--clock", self.clock, "--kernel", "host" if self.kernel is None else "guest"]


_BUILD = "build it once with: halfopen kernel build"
#: Exit codes with no other meaning.
_YES, _NO = 10, 11


def place(request: RunRequest, clock: Clock, kernel: Kernel) -> tuple[RunRequest, list[Job], Placement]:
    """Return a request as it can be run here, its jobs and their placement; raises InputError, UnsupportedError."""
    if request.target.image is None:
        todo = jobs(request)
        return request, todo, choose(clock, kernel, [job.scenario for job in todo])
    request, placement = beside_the_engine(request, clock, kernel)
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
    lacks_netem = not _answer(lambda: kernel_has_discipline("netem"))
    placement = Placement("real", None, "a guest has no container engine")
    return msgspec.structs.replace(request, lacks_netem=lacks_netem), placement


def _answer(question: Callable[[], bool]) -> bool:
    """Return the answer to a question that needs namespaces; raises IsolationError."""
    code = isolated(lambda: _YES if question() else _NO, is_brief=True)
    if code not in {_YES, _NO}:  # explained already
        raise typer.Exit(code)
    return code == _YES


def choose(clock: Clock, kernel: Kernel, scenarios: Sequence[Scenario]) -> Placement:
    """Return the placement for these scenarios; raises InputError or UnsupportedError if there is none."""
    if clock is Clock.VIRTUAL and kernel is Kernel.HOST:
        raise InputError("--clock virtual: needs a guest kernel, which --kernel host excludes; leave one out")
    guest = cache.newest()
    if guest is None and (clock is Clock.VIRTUAL or kernel is Kernel.GUEST):
        option = "--clock virtual" if clock is Clock.VIRTUAL else "--kernel guest"
        raise InputError(f"{option}: there is no guest kernel; {_BUILD}")
    if guest is not None and clock is not Clock.REAL and kernel is not Kernel.HOST:
        why = None if clock is Clock.VIRTUAL else what_the_host_lacks(scenarios) or "a guest kernel is there"
        return Placement("virtual", guest, why)
    if guest is not None and kernel is Kernel.GUEST:
        return Placement("real", guest)
    lacking = what_the_host_lacks(scenarios)
    if lacking is None:
        return Placement("real", None)
    if guest is None or kernel is Kernel.HOST:
        remedy = _BUILD if guest is None else "leave out --kernel host"
        raise UnsupportedError(f"{lacking}; a guest kernel has it, so {remedy}")
    return Placement("real", guest, lacking)


def what_the_host_lacks(scenarios: Sequence[Scenario]) -> str | None:
    """Return what these scenarios need and this machine lacks; None if it has everything.

    Checked again at each call: a setting may have changed, or a module been loaded.
    """
    wanting = [scenario for scenario in scenarios if scenario.netem_fields]
    try:
        if _answer(lambda: not wanting or kernel_has_discipline("netem")):
            return None
    except IsolationError as error:
        return f"this machine allows no labs ({error})"
    first = wanting[0]
    return (
        f"scenario {first.name!r} asks for {' and '.join(first.netem_fields)} on its link, which needs "
        f"sch_netem, and this kernel ({capabilities.kernel_release()}) has none"
    )
