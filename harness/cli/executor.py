"""Run the jobs of a request on the machine's own kernel or in guests, and show their progress."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from halfopen.cli import screen
from halfopen.cli.console import console as make_console
from halfopen.cli.exits import explained, isolated
from halfopen.cli.options import ClockOptions
from halfopen.cli.placement import Placement
from halfopen.cli.values import writable_folders
from halfopen.errors import InputError
from halfopen.model.profile import Profile
from halfopen.netns.guest import booting
from halfopen.results import record
from halfopen.results.record import Conditions
from halfopen.run.guests import Guests
from halfopen.run.guests import run_all as run_in_guests
from halfopen.run.profiling import Profiling, is_profile
from halfopen.run.progress import RunView
from halfopen.run.request import RunRequest
from halfopen.run.runner import Job, RunResult, run_all
from halfopen.spawn.peers import PeerUp
from halfopen.targets.keeper import keeping

#: Scenarios that share a guest at once. More take memory and gain nothing on its one processor.
_AT_ONCE = 1


@dataclass(frozen=True, slots=True)
class Presenter:
    """Output of a command about its runs."""

    conclude: Callable[[Console, Conditions, Sequence[RunResult], float], int]
    """Writes and prints the results after so many seconds; returns the exit code."""
    progress: Callable[[Console, Sequence[RunView]], AbstractContextManager[Callable[[RunResult], None]]] = screen.count
    """Shows the runs until the context is left. It yields a function to call with each finished run."""
    compared: str | None = None
    """The compared servers or detectors, for the header."""
    notes: Sequence[str] = ()
    """Lines below the header."""


@dataclass(frozen=True, slots=True)
class Executor:
    """The jobs of one request, and everything needed to run them."""

    request: RunRequest
    jobs: Sequence[Job]
    placement: Placement
    conditions: Conditions
    out: Path
    presenter: Presenter

    def carry_out(self, clock: ClockOptions, at_once: int) -> int:
        """Run the jobs and return the exit code; raises InputError for an unusable option, GuestLostError.

        ``at_once`` is the number of scenarios at once on a real clock, unless ``--jobs`` gives it.
        """
        kernel, virtual = self.placement.kernel, self.placement.clock == "virtual"
        if kernel is None:
            _refuse_guest_options(clock)
            record.check_folder(self.out)
            # Containers are kept from outside the namespaces of the runs.
            with contextlib.nullcontext() if self.request.target.image is None else keeping():
                return isolated(lambda: self._run(clock.jobs or at_once))
        folders = writable_folders(clock.writable)
        named = [Path(name) for name in self.request.names if Path(name).exists()]
        booting.require_folders(folders, [self.out, *named])
        record.check_folder(self.out)
        guests = Guests(
            kernel,
            virtual=virtual,
            # In real time runs wait side by side. On the virtual clock they take turns on their guest's one processor.
            count=(clock.jobs or os.cpu_count() or 1) if virtual else 1,
            at_once=_AT_ONCE if virtual else clock.jobs or at_once,
            writable=folders,
            wall_limit=clock.wall_limit,
        )
        return booting.in_private(lambda place: explained(lambda: self._run_in(guests, place)))

    def _run(self, at_once: int) -> int:
        console = make_console()
        self._print_header(console, self.conditions)
        views = [RunView(job.label) for job in self.jobs]

        def work(on_done: Callable[[RunResult], None]) -> None:
            run_all(self.jobs, views, at_once, on_done, partial(console.print, markup=False, soft_wrap=True))

        return self._finish(console, views, work, [self.conditions])

    def _run_in(self, guests: Guests, place: Path) -> int:
        console = make_console()
        views = [RunView(job.label) for job in self.jobs]
        seen: list[Conditions] = []
        talking = dataclasses.replace(guests, on_slow=partial(console.print, markup=False, soft_wrap=True))

        def on_up(up: PeerUp) -> None:
            seen.append(
                dataclasses.replace(self.conditions, kernel=up.kernel, congestion_control=up.congestion_control)
            )
            self._print_header(console, seen[-1])

        def work(on_done: Callable[[RunResult], None]) -> None:
            run_in_guests(self.request, self.jobs, views, talking, place, on_up, on_done)

        return self._finish(console, views, work, seen)

    def _finish(
        self,
        console: Console,
        views: Sequence[RunView],
        work: Callable[[Callable[[RunResult], None]], None],
        seen: Sequence[Conditions],
    ) -> int:
        """Do the work and conclude. If an error ends it, conclude with the results so far, and raise the error.

        ``seen`` holds the conditions once they are known.
        """
        begun = time.monotonic()
        finished: list[RunResult] = []
        profiles: dict[str | None, Profile] = {}

        def on_profile(candidate: str | None, profile: Profile) -> None:
            profiles[candidate] = profile
            console.print(escape(f"profile: {f'{candidate}: ' if candidate else ''}{profile}"), soft_wrap=True)

        def conclude() -> int:
            places = {id(job): place for place, job in enumerate(self.jobs)}
            finished.sort(key=lambda result: places[id(result.job)])
            known = [dataclasses.replace(run, profile=profiles.get(run.job.candidate)) for run in finished]
            conditions = dataclasses.replace(seen[0], profile=profiles.get(None))
            return self.presenter.conclude(console, conditions, known, time.monotonic() - begun)

        shown = {id(job): view for job, view in zip(self.jobs, views, strict=True) if not is_profile(job)}
        try:
            with self.presenter.progress(console, list(shown.values())) as on_done:

                def keep(result: RunResult) -> None:
                    finished.append(result)
                    shown[id(result.job)].verdict = result.verdict
                    on_done(result)

                judging = Profiling(self.jobs, keep, on_profile)
                try:
                    work(judging.add)
                finally:
                    judging.flush()
        except Exception as error:
            if finished and not isinstance(error, InputError):
                console.print(f"{len(finished)} of {len(shown)} runs have results; an error ended the others:")
                conclude()
            raise
        return conclude()

    def _print_header(self, console: Console, conditions: Conditions) -> None:
        header = screen.header(conditions, self.placement.why, self.presenter.compared)
        console.print("\n".join([header, *map(escape, self.presenter.notes)]), soft_wrap=True)


def _refuse_guest_options(clock: ClockOptions) -> None:
    for option, value in (("--writable", clock.writable), ("--wall-limit", clock.wall_limit)):
        if value:
            raise InputError(
                f"{option}: applies only to a guest, and this runs on the machine's own kernel; leave it out"
            )
