"""``halfopen warp -- CMD``: run any command on a clock that skips waiting, or on a real one with all of netem."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from halfopen.cli import values
from halfopen.cli.values import duration, option
from halfopen.errors import InputError
from halfopen.netns.guest import booting, cache
from halfopen.netns.guest.script import Boot
from halfopen.netns.units import Duration, Size


class WarpClock(StrEnum):
    """The clock of a guest."""

    VIRTUAL = "virtual"
    REAL = "real"


def warp(
    command: Annotated[list[str], typer.Argument(metavar="-- CMD...", help="The command and its arguments.")],
    writable: Annotated[list[Path] | None, option(None, "DIR", "A folder that the command may write to.")] = None,
    seed: Annotated[
        int | None,
        option(None, "N", "Draw all random numbers from this (default: this machine's).", min=0, max=values.MOST_SEED),
    ] = None,
    clock: Annotated[
        WarpClock,
        option(None, None, "virtual skips idle time. real keeps time, for netem on a machine that lacks it."),
    ] = WarpClock.VIRTUAL,
    wall_limit: Annotated[Duration, duration(None, "End the guest after this much real time.")] = "10min",  # type: ignore[assignment]
    memory: Annotated[Size, option(None, "SIZE", "The guest's memory.", parser=values.memory)] = "1024MiB",  # type: ignore[assignment]
) -> int:
    """Run a command in a guest kernel, on a virtual or real clock.

    The guest has this machine's files, read-only. Exits with the command's code; 69 if the guest fails or does not end
    in time.
    """
    return booting.run(
        Boot(
            kernel=require_kernel(),
            command=command,
            writable=values.writable_folders(writable),
            wall_limit=wall_limit,
            memory=memory,
            seed=seed,
            virtual=clock is WarpClock.VIRTUAL,
        )
    )


def require_kernel() -> cache.GuestKernel:
    """Return the guest kernel; raises InputError that says how to get one."""
    found = cache.newest()
    if found is not None:
        return found
    if (too_old := cache.too_old()) is not None:
        raise InputError(too_old)
    raise InputError("there is no guest kernel yet; build it once with: halfopen kernel build")
