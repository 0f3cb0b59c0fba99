"""Options shared by the commands that run scenarios."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Annotated

import typer

from halfopen.cli.surroundings import Clock, Kernel
from halfopen.cli.values import MOST_SEED, ReapBy, positive_duration, positive_rate
from halfopen.netns.units import ByteRate, Duration
from halfopen.targets.pod import DetectorOptions

#: The groups of options in ``--help``.
SERVER, POD, SCENARIOS, CLOCK, OUTPUT, CI = (
    "Your server",
    "The built-in server (the pod)",
    "Scenarios",
    "Clock and kernel",
    "Output",
    "CI",
)


def _duration(words: str, panel: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        parser=positive_duration, metavar="DURATION", help=words, rich_help_panel=panel
    )
    return option


ReapOption = Annotated[
    ReapBy | None,
    typer.Option(
        "--reap",
        help="How the pod ends a dead client's connection (default: the detector's own way).",
        rich_help_panel=POD,
    ),
]
MinRate = Annotated[
    ByteRate | None,
    typer.Option(
        parser=positive_rate,
        metavar="RATE",
        help="The slowest rate at which a live client reads (detector halfopen: 64KiB/s).",
        rich_help_panel=POD,
    ),
]
Outage = Annotated[
    Duration | None, _duration("The longest outage that a session survives (detector halfopen: 1.5 graces).", POD)
]
Grace = Annotated[
    Duration,
    _duration(
        "The longest your server may keep a dead client. Set it to your server's own timeout. Durations in scenarios "
        "refer to it.",
        SCENARIOS,
    ),
]
Poll = Annotated[
    Duration, _duration("The time between two checks of the server's watchdog. Scenarios allow for it.", SCENARIOS)
]
Hold = Annotated[
    Duration | None,
    _duration("Observe each session for this long, whatever its scenario says.", SCENARIOS),
]
Ready = Annotated[Duration, _duration("The longest a server may take to begin listening.", SERVER)]
Out = Annotated[
    Path, typer.Option(metavar="DIR", help="The folder for results and the report.", rich_help_panel=OUTPUT)
]
Seed = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=0,
        max=MOST_SEED,
        help="The seed of all random numbers, to repeat a run (default: random; it is printed).",
        rich_help_panel=SCENARIOS,
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="Run N scenarios at once (default: all). On the virtual clock: N guests (default: one per processor).",
        rich_help_panel=CLOCK,
    ),
]
ClockOption = Annotated[
    Clock,
    typer.Option(
        envvar="HALFOPEN_CLOCK",
        help="The virtual clock skips idle time; it needs a guest kernel (halfopen kernel build). auto: virtual if "
        "possible, else real.",
        rich_help_panel=CLOCK,
    ),
]
KernelOption = Annotated[
    Kernel,
    typer.Option(
        envvar="HALFOPEN_KERNEL",
        help="The kernel that runs the lab: this machine's, or a guest's.",
        rich_help_panel=CLOCK,
    ),
]
Writable = Annotated[
    list[Path] | None,
    typer.Option(metavar="DIR", help="A folder that a server in a guest may write to.", rich_help_panel=CLOCK),
]
WallLimit = Annotated[Duration | None, _duration("End a guest that takes longer than this in real time.", CLOCK)]


def seed_or_random(seed: int | None) -> int:
    """Return the requested seed, or a random one."""
    return random.SystemRandom().randrange(2**31) if seed is None else seed


def detector_options(reap: ReapBy | None, min_rate: float | None, outage: float | None) -> DetectorOptions:
    """Return the options of the pod's detector."""
    return DetectorOptions(None if reap is None else reap.value, min_rate and float(min_rate), outage and float(outage))
