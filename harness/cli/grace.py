"""``halfopen grace``: measure detection time and false reaps for each grace, with intervals and a recommendation."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from halfopen.cli.grace_options import (
    DEFAULT_GRACES,
    DEFAULT_MOST,
    DEFAULT_POLLS,
    DEFAULT_RUNS,
    AtOnce,
    Detectors,
    ExecutorOption,
    GraceArgument,
    Graces,
    MixFile,
    MostFalseReaps,
    PlotOption,
    Polls,
    Resume,
    Runs,
    Staircase,
    Traces,
    durations,
)
from halfopen.cli.options import Out, Seed, seed_or_random
from halfopen.cli.sweep_display import Sweeping
from halfopen.cli.target_options import (
    Environment,
    Headers,
    Port,
    Send,
    Server,
    Sessions,
    SessionsField,
    SessionsPointer,
    Subprotocols,
    TargetFile,
    Tls,
    UrlPath,
    described,
)
from halfopen.cli.values import positive_share
from halfopen.cli.warp import require_kernel
from halfopen.grace import mix, plots, rates, recorded_links, store
from halfopen.grace.executor import LOCAL
from halfopen.grace.executor import executor as executor_named
from halfopen.grace.recommendation import INCIDENTS
from halfopen.grace.sweep_request import SweepRequest
from halfopen.grace.trials import Sweep
from halfopen.results.words import exactly


def grace(
    graces: Graces = None,
    polls: Polls = None,
    detector: Detectors = None,
    server: Server = None,
    grace_arg: GraceArgument = None,
    env: Environment = None,
    port: Port = None,
    target: TargetFile = None,
    path: UrlPath = None,
    subprotocol: Subprotocols = None,
    header: Headers = None,
    send: Send = None,
    sessions: Sessions = None,
    sessions_pointer: SessionsPointer = None,
    sessions_field: SessionsField = None,
    tls: Tls = None,
    mix_file: MixFile = None,
    trace: Traces = None,
    runs: Runs = DEFAULT_RUNS,
    staircase: Staircase = True,
    max_false_reaps: MostFalseReaps = DEFAULT_MOST,  # type: ignore[assignment]
    out: Out = Path("out"),
    resume: Resume = False,
    seed: Seed = None,
    executor: ExecutorOption = LOCAL,
    jobs: AtOnce = None,
    plot: PlotOption = None,
) -> int:
    """Measure detection time and false reaps for each grace.

    Shows how soon the dead are noticed and how many of the living are killed, and recommends a grace. Runs on the
    virtual clock, and needs its guest kernel. Exits 0 once measured, whatever the result; 1 if a real run disagrees
    with its replay; 3 if nothing is proved. If you interrupt it, it shows what it has, and you can resume it.
    """
    rates.require_scipy()
    if plot is not None:
        plots.check(plot)
    spec = described(
        target,
        header,
        env,
        server=server,
        port=port,
        path=path,
        subprotocols=subprotocol,
        send=send,
        sessions=sessions,
        sessions_pointer=sessions_pointer,
        sessions_field=sessions_field,
        tls=tls,
    )
    is_one_point = not spec.is_pod and grace_arg is None
    asked = SweepRequest(
        graces=durations(
            "--graces", (exactly(INCIDENTS) if is_one_point else DEFAULT_GRACES) if graces is None else graces
        ),
        polls=durations("--polls", DEFAULT_POLLS if polls is None else polls),
        detectors=tuple(detector or ()),
        target=spec,
        grace_argument=grace_arg,
    )
    candidates = asked.candidates()
    drawn_from, links = mix.read(mix_file), recorded_links.load_all(trace or [])
    who = executor_named(executor, jobs)
    kernel = require_kernel() if executor == LOCAL else None
    number = seed_or_random(store.seed(out) if resume and seed is None else seed)
    sweep = Sweep(
        seed=number,
        draws=mix.draws(drawn_from, number, runs, staircase, links),
        candidates=candidates,
        target=spec,
        grace_argument=grace_arg,
    )

    def command(runs: int) -> str:
        words = [*asked.options(), *_drawing(number, runs, mix_file, trace or [], staircase=staircase)]
        if float(max_false_reaps) != positive_share(DEFAULT_MOST):
            words += ["--max-false-reaps", f"{float(max_false_reaps) * 100:g}%"]
        return shlex.join(["halfopen", "grace", *words])

    return Sweeping(
        sweep=sweep,
        mix=drawn_from.title,
        kernel=kernel,
        most=float(max_false_reaps),
        out=out,
        plot=plot,
        command=command,
        where=_where(executor, jobs, plot),
    ).carry_out(who, resume=resume)


def _where(executor: str, jobs: int | None, plot: Path | None) -> list[str]:
    """Return the options that do not affect the results."""
    words = [] if executor == LOCAL else ["--executor", executor]
    words += [] if jobs is None else ["--jobs", str(jobs)]
    return words if plot is None else [*words, "--plot", str(plot)]


def _drawing(seed: int, runs: int, mix_file: Path | None, traces: Sequence[Path], *, staircase: bool) -> list[str]:
    """Return the options that draw the same sessions again."""
    words = ["--runs", str(runs), "--seed", str(seed)]
    words += [] if mix_file is None else ["--mix", str(mix_file)]
    words += [word for trace in traces for word in ("--trace", str(trace))]
    return words if staircase else [*words, "--no-staircase"]
