"""Carry out a sweep: show its progress, keep what is done, and print the results, even if interrupted."""

from __future__ import annotations

import contextlib
import datetime
import math
import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from halfopen import __version__
from halfopen.cli.console import console as make_console
from halfopen.errors import InputError
from halfopen.grace import draws, files, live_curve, saved_draws, store, tables
from halfopen.grace.confirmation import disagreements
from halfopen.grace.estimates import estimate
from halfopen.grace.executor import SweepExecutor
from halfopen.grace.prospect import ROUND, Pace, minutes
from halfopen.grace.sweep import BatchResult, Sweep, Trial
from halfopen.grace.sweep_request import has_own_times
from halfopen.netns import interrupts
from halfopen.netns.exit_codes import ExitCode
from halfopen.netns.guest.cache import GuestKernel
from halfopen.netns.lab_errors import GuestLostError
from halfopen.netns.units import show_duration
from halfopen.report import folder
from halfopen.results import record


@dataclass(frozen=True, slots=True)
class SweepDisplay:
    """A sweep and its presentation."""

    sweep: Sweep
    mix: str
    """Title of the mix."""
    kernel: GuestKernel | None
    """Kernel of this machine's guests; None if guests run elsewhere."""
    most: float
    """Limit on the false-reap rate of a recommended grace."""
    out: Path
    command: Callable[[int], str]
    """Returns the command that repeats the sweep with a given number of runs."""
    where: Sequence[str] = ()
    """Options that do not affect the results, for resuming in the same way."""
    notes: Sequence[str] = ()
    """Lines below the header."""
    enough: int | None = None
    """Number of runs with which a grace could be recommended; None if these runs may do, or none would."""

    def carry_out(self, executor: SweepExecutor, *, resume: bool) -> int:
        """Run the remaining batches and return the exit code; raises InputError, GuestLostError."""
        console = make_console()
        started, begun = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), time.monotonic()
        with store.opened(self.out, self.sweep, resume=resume, check=self._check_folder) as kept:
            before = set(kept.done)
            console.print("\n".join(map(escape, self._header(kept, resume=resume))), soft_wrap=True)

            def conclude() -> tuple[int, int | None]:
                return self._conclude(console, kept.done, before, started, time.monotonic() - begun)

            try:
                interrupted = self._try(executor, kept, console)
            except Exception:
                # It may happen again each time, so report what is known now. If even that fails, the original error
                # counts.
                with contextlib.suppress(OSError, InputError):
                    if kept.done:
                        conclude()
                raise
            code, more_runs = conclude()
        if interrupted is not None:
            console.print(f"interrupted; continue with: {escape(self._resumption(self._runs))}", soft_wrap=True)
            return interrupted
        if more_runs is not None:
            console.print(f"more:    {escape(self._resumption(more_runs))}", soft_wrap=True)
        return code

    def _check_folder(self) -> None:
        saved_draws.check_folder(self.out)
        # A sweep keeps no timelines, since there would be thousands. Earlier results stay until there are better ones.
        record.require_writable(self.out, self.out)

    @property
    def _runs(self) -> int:
        return sum(draw.part != "staircase" for draw in self.sweep.draws)

    def _resumption(self, runs: int) -> str:
        return f"{self.command(runs)} {shlex.join([*self.where, '--out', str(self.out), '--resume'])}"

    def _try(self, executor: SweepExecutor, kept: store.Store, console: Console) -> int | None:
        """Run and keep the batches; returns the exit code of an interruption, if any."""
        before, begun = _trials(kept.done), time.monotonic()
        pace = Pace(kept.todo, executor.at_once)
        with interrupts.interrupting(), live_curve.progress(console, self.sweep, self.most, before) as show:

            def on_batched(batched: BatchResult) -> None:
                kept.append(batched)
                if (known := pace.add(batched.number, time.monotonic() - begun)) is not None:
                    console.print(self._duration(*known), soft_wrap=True)
                show(batched.trials)

            try:
                executor.run(kept.todo, on_batched)
            except KeyboardInterrupt:
                return ExitCode.INTERRUPTED
            except interrupts.Terminated as terminated:
                return terminated.CODE
            except GuestLostError as error:
                resumption = self._resumption(self._runs)
                raise GuestLostError(f"{error}; finished batches are kept, continue with: {resumption}") from None
        return None

    def _duration(self, seconds: float, sessions: int) -> str:
        """Return a sentence on the time that the sweep takes, estimated from so many of its sessions."""
        text = f"takes about {minutes(seconds)} on this machine, judging by its first {sessions} sessions"
        if self.enough is None:
            return text
        return f"{text}; --runs {self.enough} would take about {minutes(seconds * self.enough / len(self.sweep.draws))}"

    def _header(self, kept: store.Store, *, resume: bool) -> Iterator[str]:
        """Yield the candidates, the conditions, the number of sessions, and the starting point."""
        sweep = self.sweep
        detectors = [name for name in dict.fromkeys(candidate.detector for candidate in sweep.candidates) if name]
        is_pod = sweep.target.is_pod
        server = f"pod, detector{'s' * (len(detectors) > 1)} {', '.join(detectors)}" if is_pod else sweep.target.name
        graces, polls = (
            ", ".join(map(show_duration, sorted(values)))
            for values in ({each.grace for each in sweep.candidates}, {each.poll for each in sweep.candidates})
        )
        kernel = f", Linux {self.kernel.version}" if self.kernel else ""
        yield (
            f"halfopen {__version__}: {server}, grace {graces}, poll {polls}; virtual clock{kernel}; seed {sweep.seed}"
        )
        parts = [draw.part for draw in sweep.draws]
        outages = f", {parts.count('staircase'):,} outages of every length" if "staircase" in parts else ""
        live, dead = parts.count("mix"), parts.count("dead")
        yield f"{live:,} live and {dead:,} dead sessions of the mix {self.mix!r}{outages}"
        if not is_pod and sweep.grace_argument is None:
            yield "one point, not a curve: no option sets the server's grace (--grace-arg)"
        for name in filter(has_own_times, detectors):
            yield f"{name} is one point, not a curve: its times are its own, whatever the grace"
        yield from self.notes
        if kept.done:
            yield f"resumed: {len(kept.done)} of {len(kept.batches)} batches are done"
        elif resume:
            yield f"--resume: there is no sweep in {self.out}; this is a new one"
        elif kept.before:
            yield f"an earlier sweep is kept as {kept.before}; to resume it, rename it to {store.FILE}"

    def _conclude(
        self, console: Console, done: Mapping[int, BatchResult], before: set[int], started: str, wall: float
    ) -> tuple[int, int | None]:
        """Print and write what is known; return the exit code, and the runs needed to recommend a grace, if known."""
        if not done:
            console.print("no results: no batch was finished")
            return ExitCode.INCONCLUSIVE, None
        trials = _trials(done)
        estimates = estimate(self.sweep, trials)
        kernels, controls = (
            list(dict.fromkeys(getattr(done[number], name) for number in sorted(done)))
            for name in ("kernel", "congestion_control")
        )
        conditions = files.SweepConditions(started, wall, ", ".join(kernels), ", ".join(controls), self.mix)
        table = files.as_table(self.sweep, estimates, conditions, self.most)
        tables.show(console, estimates, self.most)
        record.take_away(self.out)
        files.write(self.out, table)
        saved_draws.write(self.out, saved := saved_draws.to_save(self.sweep, trials))
        folder.write_sweep(self.out, table)
        for values, what in (kernels, "kernels"), (controls, "congestion controls"):
            if len(values) > 1:
                text = f"run on several {what}, which may behave differently: {', '.join(values)}"
                console.print(f"\n{escape(text)}", soft_wrap=True)
        if why := {trial.draw: trial.why for trial in trials if trial.outcome == "unproved"}:
            first = next(failed.draw for failed in saved if failed.draw.number in why)
            line = f"{len(why)} prove nothing (?), such as {first.name}: {why[first.number]}"
            console.print(f"\n{escape(line)}", soft_wrap=True)
        if saved:
            line = f"{len(saved)} to look into (killed, missed, unproved): {self.out / saved_draws.FOLDER}"
            how_to = "the first line of each file is the command that shows it again"
            console.print(f"\n{escape(line)}; {how_to}", soft_wrap=True)
        places = f"results: {self.out / files.JSON}, {self.out / files.CSV}, report: {self.out / record.REPORT}"
        new = _trials({number: batched for number, batched in done.items() if number not in before})
        console.print(f"\n{_summary(new, wall)}; {escape(places)}", soft_wrap=True)
        console.print(f"again:   {escape(self.command(self._runs))}", soft_wrap=True)
        if disagreements(estimates.confirmations):
            return ExitCode.FAILED, self._runs_needed(table)
        is_proved = any(trial.outcome != "unproved" for trial in trials)
        return ExitCode.PASSED if is_proved else ExitCode.INCONCLUSIVE, self._runs_needed(table)

    def _runs_needed(self, table: Mapping[str, Any]) -> int | None:
        """Extrapolate the number of runs needed for a recommendation from the share of runs that prove something."""
        more, sessions = table["more_runs"], max(point["alive_runs"] for point in table["points"])
        if more is None or not sessions:
            return None
        runs = max(math.ceil(self._runs * (1 + more / sessions) / ROUND) * ROUND, self.enough or 0)
        return runs if runs <= draws.MOST_RUNS else None


def _trials(done: Mapping[int, BatchResult]) -> list[Trial]:
    """Return the results in the order of the plan, whatever order they were finished in."""
    return [trial for number in sorted(done) for trial in done[number].trials]


def _summary(trials: Iterable[Trial], wall: float) -> str:
    """Format the number of sessions, the time they took, and the lab time of each."""
    # Replays of all candidates share one recorded session.
    durations = {(trial.draw, trial.candidate if trial.real else None): trial.duration for trial in trials}
    mean = sum(durations.values()) / len(durations) if durations else 0.0
    per_run = f", {show_duration(round(mean))} of lab time each" if durations else ""
    return f"{len(durations):,} runs in {show_duration(round(wall, 1))}{per_run}"
