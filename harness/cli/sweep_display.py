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
from typing import Any, NamedTuple

from rich.console import Console
from rich.markup import escape

from halfopen import __version__
from halfopen.cli.console import console as make_console
from halfopen.errors import InputError
from halfopen.grace import files, live_curve, mix, notable, store, tables
from halfopen.grace.confirmation import disagreements
from halfopen.grace.estimates import Estimates, estimate
from halfopen.grace.executor import SweepExecutor
from halfopen.grace.sweep_request import has_own_times
from halfopen.grace.trials import BatchResult, Sweep, Trial
from halfopen.netns import interrupts
from halfopen.netns.exit_codes import ExitCode
from halfopen.netns.guest.cache import GuestKernel
from halfopen.netns.lab_errors import GuestLostError
from halfopen.netns.units import show_duration
from halfopen.report import folder
from halfopen.results import record

#: A proposed number of runs is rounded up to a multiple of this.
_ROUND = 100


class _Concluded(NamedTuple):
    code: int
    table: Mapping[str, Any] = {}
    """Content of grace.json; empty if nothing is known."""


@dataclass(frozen=True, slots=True)
class Sweeping:
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

    def carry_out(self, executor: SweepExecutor, *, resume: bool) -> int:
        """Run the remaining batches and return the exit code; raises InputError, GuestLostError."""
        console = make_console()
        started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        with store.opened(self.out, self.sweep, resume=resume, check=self._check_folder) as kept:
            before = set(kept.done)
            console.print("\n".join(map(escape, self._header(kept, resume=resume))), soft_wrap=True)
            begun = time.monotonic()

            def conclude() -> _Concluded:
                wall = time.monotonic() - begun
                found = self._conclude(console, kept.done, started, wall)
                if kept.done:
                    self._tell(console, {n: batched for n, batched in kept.done.items() if n not in before}, wall)
                return found

            try:
                interrupted = self._try(executor, kept, console)
            except Exception:
                # It may happen again each time, so report what is known now. If even that fails, the original error
                # counts.
                with contextlib.suppress(OSError, InputError):
                    if kept.done:
                        conclude()
                raise
            found = conclude()
        if interrupted is not None:
            console.print(f"interrupted; go on with: {escape(self._go_on(self._runs))}", soft_wrap=True)
        elif (runs := self._runs_with(found.table)) is not None:
            console.print(f"more:    {escape(self._go_on(runs))}", soft_wrap=True)
        return found.code if interrupted is None else interrupted

    def _check_folder(self) -> None:
        notable.check_folder(self.out)
        # A sweep keeps no timelines, since there would be thousands. Earlier results stay until there are better ones.
        record.require_writable(self.out, self.out)

    @property
    def _runs(self) -> int:
        return sum(draw.part != "staircase" for draw in self.sweep.draws)

    def _runs_with(self, table: Mapping[str, Any]) -> int | None:
        """Return the number of runs needed for a recommendation; None if no number will do.

        It is extrapolated from the share of runs that prove something.
        """
        more = table.get("more_runs")
        sessions = max((point["alive_runs"] for point in table.get("points", ())), default=0)
        if more is None or not sessions:
            return None
        runs = math.ceil(self._runs * (1 + more / sessions) / _ROUND) * _ROUND
        return runs if runs <= mix.MOST_RUNS else None

    def _go_on(self, runs: int) -> str:
        return f"{self.command(runs)} {shlex.join([*self.where, '--out', str(self.out), '--resume'])}"

    def _try(self, executor: SweepExecutor, kept: store.Store, console: Console) -> int | None:
        """Run and keep the batches; returns the exit code of an interruption, if any."""
        with (
            interrupts.interrupting(),
            live_curve.progress(console, self.sweep, self.most, _in_order(kept.done)) as show,
        ):

            def on_batched(batched: BatchResult) -> None:
                kept.append(batched)
                show(batched.tried)

            try:
                executor.run(kept.todo, on_batched)
            except KeyboardInterrupt:
                return ExitCode.INTERRUPTED
            except interrupts.Terminated as terminated:
                return terminated.CODE
            except GuestLostError as error:
                raise GuestLostError(f"{error}; what is done is kept, go on with: {self._go_on(self._runs)}") from None
        return None

    def _header(self, kept: store.Store, *, resume: bool) -> list[str]:
        """Return the header: the candidates, the conditions, and the number of sessions."""
        sweep = self.sweep
        graces, polls = (
            ", ".join(map(show_duration, sorted({getattr(one, name) for one in sweep.candidates})))
            for name in ("grace", "poll")
        )
        who = sweep.target.name
        if sweep.target.is_pod:
            names = list(dict.fromkeys(one.detector or "" for one in sweep.candidates))
            who = f"pod, detector{'s' * (len(names) > 1)} {', '.join(names)}"
        kernel = f", Linux {self.kernel.version}" if self.kernel else ""
        first = f"halfopen {__version__}: {who}, grace {graces}, poll {polls}; virtual clock{kernel}; seed {sweep.seed}"
        lines = [first, self._draws()]
        if not sweep.target.is_pod and sweep.grace_argument is None:
            lines.append("one point, not a curve: nothing tells the server its grace (--grace-arg)")
        detectors = dict.fromkeys(one.detector for one in sweep.candidates if one.detector)
        own = [name for name in detectors if has_own_times(name)]
        lines += [f"{name} is one point, not a curve: its times are its own, whatever the grace" for name in own]
        return [*lines, *self._origin(kept, resume=resume)]

    def _origin(self, kept: store.Store, *, resume: bool) -> list[str]:
        """Describe the starting point, unless the sweep starts empty."""
        if kept.done:
            return [f"resumed: {len(kept.done)} of {len(kept.batches)} batches are done"]
        if resume:
            return [f"nothing to resume in {self.out}: begun anew"]
        if kept.before:
            told = "begun anew; what an earlier sweep left is kept"
            return [f"{told} as {kept.before}: named {store.FILE} again, --resume goes on with it"]
        return []

    def _draws(self) -> str:
        parts = [draw.part for draw in self.sweep.draws]
        told = f"{parts.count('mix'):,} live and {parts.count('dead'):,} dead sessions of the mix {self.mix!r}"
        return told + (f", {parts.count('staircase'):,} outages of every length" if "staircase" in parts else "")

    def _conclude(self, console: Console, done: dict[int, BatchResult], started: str, wall: float) -> _Concluded:
        """Print and write what is known."""
        if not done:
            console.print("nothing is known: no batch was done")
            return _Concluded(ExitCode.INCONCLUSIVE)
        tried = _in_order(done)
        found = estimate(self.sweep, tried)
        kernels, controls = (_distinct(done, name) for name in ("kernel", "congestion_control"))
        how = files.SweepConditions(started, wall, ", ".join(kernels), ", ".join(controls), self.mix)
        table = files.as_table(self.sweep, found, how, self.most)
        tables.show(console, found, self.most)
        record.take_away(self.out)
        files.write(self.out, table)
        notable.write(self.out, shown := notable.notable(self.sweep, tried))
        folder.write_sweep(self.out, table)
        for line in (
            *_mixed("kernels", kernels),
            *_mixed("congestion controls", controls),
            *self._to_look_into(shown, tried),
        ):
            console.print(f"\n{escape(line)}", soft_wrap=True)
        return _Concluded(_exit_code(found, tried), table)

    def _to_look_into(self, shown: Sequence[notable.Notable], tried: Iterable[Trial]) -> Iterator[str]:
        why = {one.draw: one.why for one in tried if one.came == "unproved"}
        if why:
            first = next(one.draw for one in shown if one.draw.number in why)
            yield f"{len(why)} prove nothing (?), such as {first.name}: {why[first.number]}"
        if shown:
            told = f"{len(shown)} to look into (killed, missed, unproved): {self.out / notable.FOLDER}"
            yield f"{told}; the first line of each file is the command that shows it again"

    def _tell(self, console: Console, made: dict[int, BatchResult], wall: float) -> None:
        """Print the amount of new work, its duration, the paths of the results, and the command that repeats it."""
        places = f"results: {self.out / files.JSON}, {self.out / files.CSV}, report: {self.out / record.REPORT}"
        console.print(f"\n{_summary(_in_order(made), wall)}; {escape(places)}", soft_wrap=True)
        console.print(f"again:   {escape(self.command(self._runs))}", soft_wrap=True)


def _in_order(done: dict[int, BatchResult]) -> list[Trial]:
    """Return the results in the order of the plan, whatever order they were finished in."""
    return [one for number in sorted(done) for one in done[number].tried]


def _distinct(done: Mapping[int, BatchResult], name: str) -> list[str]:
    """Return the distinct values of a field of the batches, in the order of the plan."""
    return list(dict.fromkeys(getattr(done[number], name) for number in sorted(done)))


def _mixed(what: str, found: Sequence[str]) -> Iterator[str]:
    """Yield a warning if sessions differ in this."""
    if len(found) > 1:
        yield f"made on several {what}, of which each need not do what another does: {', '.join(found)}"


def _summary(tried: Iterable[Trial], wall: float) -> str:
    """Format the number of sessions, the time they took, and the lab time of each."""
    # Replays of all candidates share one recorded session.
    lasted = {(one.draw, one.candidate if one.really else None): one.duration for one in tried}
    lab = sum(lasted.values())
    per_run = f", {show_duration(round(lab / len(lasted)))} of lab time each" if lasted else ""
    return f"{len(lasted):,} runs in {show_duration(round(wall, 1))}{per_run}"


def _exit_code(found: Estimates, tried: list[Trial]) -> int:
    if disagreements(found.confirmations):
        return ExitCode.FAILED
    return ExitCode.PASSED if any(one.came != "unproved" for one in tried) else ExitCode.INCONCLUSIVE
