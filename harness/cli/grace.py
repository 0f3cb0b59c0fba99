"""``halfopen grace``: measure detection time and false reaps for each grace, with intervals and a recommendation."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from halfopen.cli.groups import Without
from halfopen.cli.options import Out, Seed, ServerOptions, seed_or_random
from halfopen.cli.sweep_display import SweepDisplay
from halfopen.cli.values import option, positive_duration, positive_share
from halfopen.cli.warp import require_kernel
from halfopen.errors import InputError
from halfopen.grace import draws, mix, rates, store
from halfopen.grace.executor import LOCAL
from halfopen.grace.executor import executor as executor_named
from halfopen.grace.prospect import prospect
from halfopen.grace.recommendation import INCIDENTS, MOST_FALSE_REAPS
from halfopen.grace.sweep import Draw, Sweep
from halfopen.grace.sweep_request import SweepRequest
from halfopen.netns.units import Share, plain
from halfopen.results.words import exactly

DEFAULT_GRACES = "5s,10s,15s,20s,30s,45s,60s,90s"
DEFAULT_POLLS = "2s"
DEFAULT_RUNS = 1000
DEFAULT_MOST = f"{plain(MOST_FALSE_REAPS * 100)}%"


def grace(
    *,
    graces: Annotated[
        str | None, option(None, "DURATION[,...]", f"The graces to compare (default: {DEFAULT_GRACES}).")
    ] = None,
    polls: Annotated[
        str | None,
        option(
            None,
            "DURATION[,...]",
            f"The polls to compare, each with every grace (default: {DEFAULT_POLLS}; at most 4s).",
        ),
    ] = None,
    detector: Annotated[
        list[str] | None, option(None, "NAME", "A detector of the pod. Repeatable (default: bytes-acked).")
    ] = None,
    server: Annotated[ServerOptions, Without("image"), Without("command"), Without("edge")],
    grace_arg: Annotated[
        str | None,
        option(
            None,
            "TEXT",
            "Text to add to the --server command, such as '--ws-ping-timeout {grace}' (or {grace_ms}).",
        ),
    ] = None,
    mix_file: Annotated[
        Path | None,
        option(
            None,
            "FILE",
            "A TOML file of the conditions that clients meet, with their weights (docs/grace-mix.md).",
            "--mix",
        ),
    ] = None,
    trace: Annotated[
        list[Path] | None, option(None, "FILE", "A recorded link, added to the mix as a condition. Repeatable.")
    ] = None,
    runs: Annotated[
        int, option(None, "N", "The number of sessions to draw from the mix.", min=1, max=draws.MOST_RUNS)
    ] = DEFAULT_RUNS,
    staircase: Annotated[
        bool | None,
        option(
            None,
            None,
            f"Also run outages of every length at every phase of the backoff: all {draws.WHOLE.outages}, or none "
            "(default: all, or a part of them with few --runs).",
        ),
    ] = None,
    max_false_reaps: Annotated[
        Share | None,
        option(
            None,
            "SHARE",
            f"The highest share of live sessions that a recommended grace may reap (default: {DEFAULT_MOST}).",
            parser=positive_share,
        ),
    ] = None,
    out: Out = Path("out"),
    resume: Annotated[
        bool, option(None, None, "Continue the sweep in --out, with the same or more --runs.", "--resume")
    ] = False,
    seed: Seed = None,
    executor: Annotated[
        str, option(None, "WHERE", "Where to run: local, or a Dask cluster as dask://HOST:PORT.")
    ] = LOCAL,
    jobs: Annotated[
        int | None, option(None, "N", "The number of guests at once (default: one per processor).", min=1)
    ] = None,
) -> int:
    """Measure detection time and false reaps for each grace.

    Shows how soon the dead are noticed and how many of the living are killed, and recommends a grace. Runs on the
    virtual clock, and needs its guest kernel. Exits 0 once measured, whatever the result; 1 if a real run disagrees
    with its replay; 3 if nothing is proved. If you interrupt it, it shows what it has, and you can resume it.
    """
    rates.require_scipy()
    spec = server.spec()
    is_one_point = not spec.is_pod and grace_arg is None
    request = SweepRequest(
        graces=_durations(
            "--graces", (exactly(INCIDENTS) if is_one_point else DEFAULT_GRACES) if graces is None else graces
        ),
        polls=_durations("--polls", DEFAULT_POLLS if polls is None else polls),
        detectors=tuple(detector or ()),
        target=spec,
        grace_argument=grace_arg,
    )
    candidates = request.candidates()
    drawn_from, links = mix.read(mix_file), draws.load_links(trace or [])
    most = MOST_FALSE_REAPS if max_false_reaps is None else float(max_false_reaps)
    sweep_executor = executor_named(executor, jobs)
    number = seed_or_random(store.seed(out) if resume and seed is None else seed)
    drawn = draws.draw_all(drawn_from, number, runs, staircase, links)
    expected = prospect(drawn, drawn_from, most)
    if max_false_reaps is not None and not expected.can_recommend:
        raise InputError(
            f"--runs {runs}: too few for --max-false-reaps {plain(most * 100)}%: {expected.reach}; {expected.remedy}, "
            "or leave out --max-false-reaps to measure without a recommendation"
        )
    kernel = require_kernel() if executor == LOCAL else None
    sweep = Sweep(
        seed=number,
        draws=drawn,
        candidates=candidates,
        target=spec,
        grace_argument=grace_arg,
    )

    def command(runs: int) -> str:
        words = [*request.options(), "--runs", str(runs), "--seed", str(number)]
        words += [] if mix_file is None else ["--mix", str(mix_file)]
        words += [word for file in trace or [] for word in ("--trace", str(file))]
        words += [] if staircase is None else ["--staircase" if staircase else "--no-staircase"]
        if most != MOST_FALSE_REAPS:
            words += ["--max-false-reaps", f"{plain(most * 100)}%"]
        return shlex.join(["halfopen", "grace", *words])

    return SweepDisplay(
        sweep=sweep,
        mix=drawn_from.title,
        kernel=kernel,
        most=most,
        out=out,
        command=command,
        enough=None if expected.can_recommend else expected.enough,
        notes=[*expected.sentences(), *_part_of_staircase(drawn)],
        where=_where(executor, jobs),
    ).carry_out(sweep_executor, resume=resume)


def _part_of_staircase(drawn: Sequence[Draw]) -> list[str]:
    """Return a note if only a part of the staircase is run."""
    count = sum(draw.part == "staircase" for draw in drawn)
    if count in {0, draws.WHOLE.outages}:
        return []
    return [
        f"few runs, so only {count} of {draws.WHOLE.outages} outages; all of them: --staircase, none: --no-staircase"
    ]


def _where(executor: str, jobs: int | None) -> list[str]:
    """Return the options that do not affect the results."""
    words = [] if executor == LOCAL else ["--executor", executor]
    return words if jobs is None else [*words, "--jobs", str(jobs)]


def _durations(option: str, text: str) -> tuple[float, ...]:
    """Parse ``"5s,10s"`` into seconds, each once, the shortest first; raises InputError."""
    seconds = set()
    for word in text.split(","):
        try:
            seconds.add(float(positive_duration(word.strip())))
        except typer.BadParameter as error:
            raise InputError(f"{option} {text!r}: {error.message}") from None
    return tuple(sorted(seconds))
