"""Run the jobs of a call on the machine's own kernel or in guests, and show their progress."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rich.console import Console

from halfopen.cli.console import console as make_console
from halfopen.cli.exits import explained, isolated
from halfopen.cli.surroundings import Surroundings
from halfopen.cli.values import writable_folders
from halfopen.errors import InputError
from halfopen.netns.guest import booting
from halfopen.results import record
from halfopen.results.record import Conditions
from halfopen.run.guests import Guests
from halfopen.run.guests import run_all as run_in_guests
from halfopen.run.progress import RunView
from halfopen.run.request import RunRequest
from halfopen.run.runner import Job, RunResult, run_all
from halfopen.spawn.peers import PeerUp
from halfopen.targets.keeper import keeping

#: Scenarios that share a guest at once. More take memory and gain nothing on its one processor.
_AT_ONCE = 1


@dataclass(frozen=True, slots=True)
class Limits:
    """Resource limits for one command."""

    jobs: int | None
    """Scenarios at once on a real clock; guests on a virtual one."""
    at_once: int
    """Scenarios at once on a real clock if ``jobs`` is None."""
    writable: list[Path] | None
    wall_limit: float | None
    """Real seconds for each guest."""


class Presenter(Protocol):
    """Presentation of an effort: its header, progress and conclusion."""

    def header(self, how: Conditions) -> str:
        """Return the text to print at the start."""
        ...

    def progress(
        self, console: Console, views: Sequence[RunView]
    ) -> AbstractContextManager[Callable[[RunResult], None]]:
        """Show the runs until the context is left. It yields a function to call with each finished run."""
        ...

    def conclude(self, console: Console, how: Conditions, done: Sequence[RunResult], wall: float) -> int:
        """Write and print the results; returns the exit code."""
        ...


@dataclass(frozen=True, slots=True)
class Executor:
    """The jobs of one call, and everything needed to run them."""

    call: RunRequest
    jobs: Sequence[Job]
    where: Surroundings
    how: Conditions
    out: Path
    stage: Presenter

    def carry_out(self, limits: Limits) -> int:
        """Run the jobs and return the exit code; raises InputError for an unusable option, GuestLostError."""
        if self.where.kernel is None:
            _refuse_in_vain(limits)
            record.check_folder(self.out)
            with self._engine():
                return isolated(lambda: self._run(limits.jobs or limits.at_once))
        folders = writable_folders(limits.writable)
        named = [Path(name) for name in self.call.names if Path(name).exists()]
        booting.require_folders(folders, [self.out, *named])
        record.check_folder(self.out)
        virtual = self.where.clock == "virtual"
        guests = Guests(
            self.where.kernel,
            virtual=virtual,
            # In real time runs wait side by side. On the virtual clock they take turns on their guest's one processor.
            count=(limits.jobs or os.cpu_count() or 1) if virtual else 1,
            at_once=_AT_ONCE if virtual else limits.jobs or limits.at_once,
            writable=folders,
            wall_limit=limits.wall_limit,
        )
        return booting.in_private(lambda place: explained(lambda: self._run_in(guests, place)))

    def _engine(self) -> AbstractContextManager[None]:
        """Return the context that keeps the runs' containers, if any, from outside their namespaces."""
        return contextlib.nullcontext() if self.call.target.image is None else keeping()

    def _run(self, at_once: int) -> int:
        console = make_console()
        console.print(self.stage.header(self.how), soft_wrap=True)
        begun = time.monotonic()
        views = [RunView(job.label) for job in self.jobs]
        with self.stage.progress(console, views) as on_done:
            done = run_all(self.jobs, views, at_once, on_done)
        return self.stage.conclude(console, self.how, done, time.monotonic() - begun)

    def _run_in(self, guests: Guests, place: Path) -> int:
        console = make_console()
        begun = time.monotonic()
        views = [RunView(job.label) for job in self.jobs]
        greetings: list[PeerUp] = []

        def on_up(up: PeerUp) -> None:
            greetings.append(up)
            console.print(self.stage.header(self._as_seen(up)), soft_wrap=True)

        with self.stage.progress(console, views) as on_done:
            done = run_in_guests(self.call, self.jobs, views, guests, place, on_up, on_done)
        return self.stage.conclude(console, self._as_seen(greetings[0]), done, time.monotonic() - begun)

    def _as_seen(self, up: PeerUp) -> Conditions:
        return dataclasses.replace(self.how, kernel=up.kernel, congestion_control=up.congestion_control)


def _refuse_in_vain(limits: Limits) -> None:
    """Refuse options that only guests have; raises InputError."""
    for option, value in (("--writable", limits.writable), ("--wall-limit", limits.wall_limit)):
        if value:
            raise InputError(f"{option} is for guests, and this runs on the machine's own kernel; leave it out")
