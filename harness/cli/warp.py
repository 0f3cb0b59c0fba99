"""``halfopen warp -- CMD``: any command on a clock that skips the waiting."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import values
from harness.errors import InputError
from netns.guest import booting, cache
from netns.units import Duration, Size


def warp(
    command: Annotated[list[str], typer.Argument(metavar="-- CMD...", help="The command and its arguments.")],
    writable: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="A folder that the command may write to.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="Draw all random numbers from this (default: this machine's)."),
    ] = None,
    wall_limit: Annotated[
        Duration,
        typer.Option(parser=values.positive_duration, metavar="DURATION", help="Give up after so much real time."),
    ] = "10min",  # type: ignore[assignment]
    memory: Annotated[Size, typer.Option(parser=values.memory, metavar="SIZE", help="The guest's memory.")] = "1024MiB",  # type: ignore[assignment]
) -> int:
    """Run a command on the virtual clock, in a guest kernel whose files are this machine's, read-only.

    Exits with the command's code; 69 if the guest fails or does not end in time.
    """
    return booting.run(
        booting.Boot(
            kernel=require_kernel(),
            command=command,
            writable=values.writable_folders(writable),
            wall_limit=wall_limit,
            memory=memory,
            seed=seed,
        )
    )


def require_kernel() -> cache.GuestKernel:
    """The guest kernel; raises InputError that says how to get one."""
    found = cache.newest()
    if found is None:
        raise InputError("there is no guest kernel yet; build it once with: halfopen kernel build")
    return found
