"""Choose the clock and the kernel of a call, and say why."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import typer

from halfopen.cli.exits import isolated
from halfopen.errors import InputError
from halfopen.netns import capabilities
from halfopen.netns.guest import cache
from halfopen.netns.guest.cache import GuestKernel
from halfopen.netns.lab import kernel_has_discipline
from halfopen.netns.lab_errors import IsolationError, UnsupportedError
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
class Surroundings:
    """A clock and a kernel. ``kernel`` is None for the machine's own."""

    clock: str
    kernel: GuestKernel | None
    why: str | None = None
    """Reason for a kernel that was not requested, or for the clock."""

    @property
    def options(self) -> list[str]:
        """Options that choose the same surroundings again."""
        return ["--clock", self.clock, "--kernel", "host" if self.kernel is None else "guest"]


_BUILD = "build it once with: halfopen kernel build"
#: Exit codes with no other meaning.
_HAS, _LACKS = 10, 11


def beside_the_engine(clock: Clock, kernel: Kernel) -> Surroundings:
    """Return the only surroundings for a container image; raises InputError if others are requested."""
    for option, is_other in (
        (f"--clock {clock}", clock is Clock.VIRTUAL),
        (f"--kernel {kernel}", kernel is Kernel.GUEST),
    ):
        if is_other:
            raise InputError(
                f"{option} is a guest's, and from there no container engine is in reach: leave it out, or start the "
                "server itself with --server"
            )
    return Surroundings("real", None, "a guest has no container engine")


def host_has_netem() -> bool:
    """True if this machine's kernel can delay and lose packets."""
    answer = isolated(lambda: _HAS if kernel_has_discipline("netem") else _LACKS, is_brief=True)
    if answer not in {_HAS, _LACKS}:  # explained already
        raise typer.Exit(answer)
    return answer == _HAS


def choose(clock: Clock, kernel: Kernel, scenarios: Sequence[Scenario]) -> Surroundings:
    """Return the surroundings for these scenarios; raises InputError or UnsupportedError if there are none."""
    if clock is Clock.VIRTUAL and kernel is Kernel.HOST:
        raise InputError("--clock virtual needs a guest kernel: leave out --kernel host, or take --clock real")
    guest = None if kernel is Kernel.HOST or clock is Clock.REAL else cache.newest()
    if guest is not None:
        why = None if clock is Clock.VIRTUAL else what_the_host_lacks(scenarios) or "a guest kernel is there"
        return Surroundings("virtual", guest, why)
    if clock is Clock.VIRTUAL:
        raise InputError(f"--clock virtual needs a guest kernel, and there is none; {_BUILD}")
    return _on_a_real_clock(kernel, scenarios)


def _on_a_real_clock(kernel: Kernel, scenarios: Sequence[Scenario]) -> Surroundings:
    lacking = None if kernel is Kernel.GUEST else what_the_host_lacks(scenarios)
    if kernel is not Kernel.GUEST and lacking is None:
        return Surroundings("real", None)
    guest = cache.newest()
    if lacking is not None and (kernel is Kernel.HOST or guest is None):
        way = _BUILD if guest is None else "leave out --kernel host"
        raise UnsupportedError(f"{lacking}; a guest kernel will do ({way})")
    if guest is None:
        raise InputError(f"--kernel guest: there is no guest kernel; {_BUILD}")
    return Surroundings("real", guest, lacking)


def what_the_host_lacks(scenarios: Sequence[Scenario]) -> str | None:
    """Return what these scenarios need and this machine lacks; None if it has everything.

    Checked again at each call: a setting may have changed, or a module been loaded.
    """
    wanting = [scenario for scenario in scenarios if scenario.netem_fields]
    try:
        answer = isolated(lambda: _HAS if not wanting or kernel_has_discipline("netem") else _LACKS, is_brief=True)
    except IsolationError as error:
        return f"this machine allows no labs ({error})"
    if answer == _HAS:
        return None
    if answer != _LACKS:  # explained already
        raise typer.Exit(answer)
    first = wanting[0]
    return (
        f"scenario {first.name!r} asks for {' and '.join(first.netem_fields)} on its link, which needs "
        f"sch_netem, and this kernel ({capabilities.kernel_release()}) has none"
    )
