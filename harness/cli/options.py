"""Options shared by the commands that run scenarios."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Annotated

import typer

from halfopen.cli.surroundings import Clock, Kernel
from halfopen.cli.values import MOST_SEED, ReapBy, positive_duration, positive_rate
from halfopen.netns.units import ByteRate, Duration
from halfopen.targets.pod import Knobs


def _duration(words: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(parser=positive_duration, metavar="DURATION", help=words)
    return option


ReapOption = Annotated[
    ReapBy | None, typer.Option("--reap", help="How the pod ends a dead client's connection (default: by detector).")
]
MinRate = Annotated[
    ByteRate | None,
    typer.Option(parser=positive_rate, metavar="RATE", help="What a live client reads at least (halfopen: 64KiB/s)."),
]
Outage = Annotated[Duration | None, _duration("Outage that is survived (halfopen: 1.5 graces).")]
Grace = Annotated[Duration, _duration("What expectations are written in.")]
Poll = Annotated[Duration, _duration("The detector's poll.")]
Hold = Annotated[Duration | None, _duration("Look so long, instead of each scenario's own.")]
Ready = Annotated[Duration, _duration("A server's time to begin listening.")]
Out = Annotated[Path, typer.Option(metavar="DIR", help="Where results go.")]
Seed = Annotated[
    int | None, typer.Option(metavar="N", min=0, max=MOST_SEED, help="Repeat a run (default: random, printed).")
]
Jobs = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Scenarios at once (default: all); guests, on a virtual clock.")
]
ClockOption = Annotated[
    Clock, typer.Option(envvar="HALFOPEN_CLOCK", help="Whether waiting takes time (auto: not, if it need not).")
]
KernelOption = Annotated[
    Kernel, typer.Option(envvar="HALFOPEN_KERNEL", help="Whose network is used: this machine's or a guest's.")
]
Writable = Annotated[
    list[Path] | None, typer.Option(metavar="DIR", help="A folder that a server in a guest may write to.")
]
WallLimit = Annotated[Duration | None, _duration("Give a guest up after so much real time.")]


def seed_or_random(seed: int | None) -> int:
    """Return the requested seed, or a random one."""
    return random.SystemRandom().randrange(2**31) if seed is None else seed


def knobs(reap: ReapBy | None, min_rate: float | None, outage: float | None) -> Knobs:
    """Return the options of the pod's detector."""
    return Knobs(None if reap is None else reap.value, min_rate and float(min_rate), outage and float(outage))
