"""Options that only ``halfopen grace`` has, and their parsers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from halfopen.cli.values import positive_duration, positive_share
from halfopen.errors import InputError
from halfopen.grace.mix import MOST_RUNS
from halfopen.grace.recommending import MOST_FALSE_REAPS
from halfopen.netns.units import Share, plain

DEFAULT_GRACES = "5s,10s,15s,20s,30s,45s,60s,90s"
DEFAULT_POLLS = "2s"
DEFAULT_RUNS = 1000
DEFAULT_MOST = f"{plain(MOST_FALSE_REAPS * 100)}%"

Graces = Annotated[
    str | None,
    typer.Option(metavar="DURATION[,...]", help=f"The graces to compare (default: {DEFAULT_GRACES})."),
]
Polls = Annotated[
    str | None,
    typer.Option(
        metavar="DURATION[,...]", help=f"The polls to compare, each with each grace ({DEFAULT_POLLS}; at most 4s)."
    ),
]
Detectors = Annotated[
    list[str] | None,
    typer.Option("--detector", metavar="NAME", help="A detector of the pod's; may be repeated (bytes-acked)."),
]
GraceArgument = Annotated[
    str | None,
    typer.Option(
        "--grace-arg",
        metavar="TEXT",
        help="What a --server is told its grace by, added to its command: '--ws-ping-timeout {grace}', or {grace_ms}.",
    ),
]
MixFile = Annotated[
    Path | None, typer.Option("--mix", metavar="FILE", help="What befalls clients, and how often (TOML).")
]
Traces = Annotated[
    list[Path] | None,
    typer.Option("--trace", metavar="FILE", help="A recorded link, one more condition of the mix; may be repeated."),
]
Runs = Annotated[
    int,
    typer.Option(
        metavar="N", min=1, max=MOST_RUNS, help="So many sessions are drawn from the mix, beside the staircase's."
    ),
]
Staircase = Annotated[
    bool, typer.Option("--staircase/--no-staircase", help="288 outages of every length at every phase, too.")
]
MostFalseReaps = Annotated[
    Share,
    typer.Option(
        "--max-false-reaps",
        parser=positive_share,
        metavar="SHARE",
        help="Of a session that is alive: a grace is recommended if it is proved to do better.",
    ),
]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Go on with what an earlier call has left in --out, with as many or more --runs."),
]
ExecutorOption = Annotated[
    str, typer.Option("--executor", metavar="WHERE", help="local, or a Dask cluster: dask://HOST:PORT.")
]
AtOnce = Annotated[
    int | None, typer.Option("--jobs", metavar="N", min=1, help="Guests at once (default: one a processor).")
]
PlotOption = Annotated[
    Path | None, typer.Option("--plot", metavar="PATH", help="Draw plots, too: FILE.svg, FILE.png, or a folder.")
]


def durations(option: str, text: str) -> tuple[float, ...]:
    """Parse ``"5s,10s"`` into seconds, each once, the shortest first; raises InputError."""
    found = set()
    for word in text.split(","):
        try:
            found.add(float(positive_duration(word.strip())))
        except typer.BadParameter as error:
            raise InputError(f"{option} {text!r}: {error.message}") from None
    return tuple(sorted(found))
