"""Options that only ``halfopen grace`` has, and their parsers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from halfopen.cli.values import positive_duration, positive_share
from halfopen.errors import InputError
from halfopen.grace.draws import MOST_RUNS
from halfopen.grace.recommendation import MOST_FALSE_REAPS
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
        metavar="DURATION[,...]",
        help=f"The polls to compare, each with every grace (default: {DEFAULT_POLLS}; at most 4s).",
    ),
]
Detectors = Annotated[
    list[str] | None,
    typer.Option("--detector", metavar="NAME", help="A detector of the pod. Repeatable (default: bytes-acked)."),
]
GraceArgument = Annotated[
    str | None,
    typer.Option(
        "--grace-arg",
        metavar="TEXT",
        help="Text to add to the --server command, such as '--ws-ping-timeout {grace}' (or {grace_ms}).",
    ),
]
MixFile = Annotated[
    Path | None,
    typer.Option(
        "--mix",
        metavar="FILE",
        help="A TOML file of the conditions that clients meet, with their weights (docs/grace-mix.md).",
    ),
]
Traces = Annotated[
    list[Path] | None,
    typer.Option("--trace", metavar="FILE", help="A recorded link, added to the mix as a condition. Repeatable."),
]
Runs = Annotated[
    int,
    typer.Option(metavar="N", min=1, max=MOST_RUNS, help="The number of sessions to draw from the mix."),
]
Staircase = Annotated[
    bool,
    typer.Option(
        "--staircase/--no-staircase", help="Also run 288 outages of every length at every phase of the backoff."
    ),
]
MostFalseReaps = Annotated[
    Share,
    typer.Option(
        "--max-false-reaps",
        parser=positive_share,
        metavar="SHARE",
        help="The highest share of live sessions that a recommended grace may reap.",
    ),
]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Continue the sweep in --out, with the same or more --runs."),
]
ExecutorOption = Annotated[
    str, typer.Option("--executor", metavar="WHERE", help="Where to run: local, or a Dask cluster as dask://HOST:PORT.")
]
AtOnce = Annotated[
    int | None,
    typer.Option("--jobs", metavar="N", min=1, help="The number of guests at once (default: one per processor)."),
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
