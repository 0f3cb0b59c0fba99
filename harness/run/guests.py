"""Spread the runs of a call over guests, and judge the timelines that they return."""

from __future__ import annotations

import compileall
import concurrent.futures
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import halfopen
from halfopen import netns
from halfopen.errors import InputError
from halfopen.model import timeline
from halfopen.netns.guest.cache import GuestKernel
from halfopen.netns.guest.machine import Machine
from halfopen.netns.guest.script import Boot
from halfopen.netns.interrupts import as_completed
from halfopen.netns.lab_errors import GuestLostError
from halfopen.run import guest_part
from halfopen.run.guest_part import GuestPart, Message, RunFinished, RunProgress, RunsStuck, RunStarted, StartsSlow
from halfopen.run.progress import RunView
from halfopen.run.request import RunRequest
from halfopen.run.runner import Job, RunResult
from halfopen.run.shards import spread
from halfopen.spawn.guest_peer import GuestPeer, guest_peer
from halfopen.spawn.peers import PeerUp, Refused, command
from halfopen.verdict.judge import hold
from halfopen.verdict.several import judge_each

#: Seconds allowed beyond the runs' own real time before a guest is given up.
_WALL_BEYOND = 60.0
#: Seconds of a guest's clock between progress messages, by whether that clock is virtual. Virtual seconds pass in a
#: moment.
_TELL_EVERY = {True: 5.0, False: 1.0}


@dataclass(frozen=True, slots=True)
class Guests:
    """Settings shared by all guests of one call."""

    kernel: GuestKernel
    virtual: bool
    count: int
    """Number of guests at once."""
    at_once: int
    """Number of scenarios at once in each guest."""
    writable: Sequence[Path] = ()
    wall_limit: float | None = None
    on_slow: Callable[[str], None] = lambda _: None
    """Called with a sentence if servers are slow to start in a guest."""
    first_processor: int = field(default_factory=os.getpid)
    """Processor of the first guest; the others take the next ones. Differs by process, so that calls do not share one.
    """


def run_all(
    call: RunRequest,
    jobs: Sequence[Job],
    views: Sequence[RunView],
    guests: Guests,
    place: Path,
    on_up: Callable[[PeerUp], None],
    on_done: Callable[[RunResult], None],
) -> None:
    """Run the jobs of ``call`` in guests. ``on_done`` is called with each result.

    ``place`` is the folder of halfopen.netns.guest.booting.in_private. ``on_up`` is called with the first guest's
    message about its kernel. Raises InputError if a guest refuses its part (a server does not start),
    GuestLostError if a guest is lost or a run's processes do not end, and ForeignError for a bug. Each ends the other
    guests.
    """
    compile_ourselves()
    runs = _Runs(call, jobs, views, guests, on_up, on_done)
    shares = spread([hold(job.scenario, job.terms) for job in jobs], guests.count)
    pool = concurrent.futures.ThreadPoolExecutor(max_workers=len(shares))
    running = [pool.submit(runs.run_share, n, share, place / f"guest-{n}") for n, share in enumerate(shares)]
    try:
        for future in as_completed(running):
            future.result()
    except BaseException:
        runs.give_up()
        raise
    finally:
        pool.shutdown()


def compile_ourselves() -> None:
    """Compile our packages now: guests cannot write bytecode, and would compile at each start."""
    for package in (halfopen, netns):
        for folder in package.__path__:
            compileall.compile_dir(folder, quiet=2)


@dataclass
class _Runs:
    """The runs of one call in progress."""

    _call: RunRequest
    _jobs: Sequence[Job]
    _views: Sequence[RunView]
    _guests: Guests
    _on_up: Callable[[PeerUp], None]
    _on_done: Callable[[RunResult], None]
    done: dict[int, RunResult] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _machines: list[Machine] = field(default_factory=list)
    _began: dict[int, float] = field(default_factory=dict)
    _is_up: bool = False
    _given_up: bool = False

    def give_up(self) -> None:
        """Kill all guests. Their threads notice."""
        with self._lock:
            self._given_up = True
            for machine in self._machines:
                machine.process.kill()

    def run_share(self, number: int, numbers: list[int], place: Path) -> None:
        """Boot the guest with this ``number`` for these jobs and read its messages until it is done."""
        boot = self._boot(number, numbers)
        part = GuestPart(self._call, numbers, self._guests.at_once, _TELL_EVERY[self._guests.virtual])
        with guest_peer(boot, part, Message, place) as guest:
            with self._lock:
                self._machines.append(guest.machine)
                if self._given_up:
                    guest.machine.process.kill()
            until = time.monotonic() + boot.wall_limit
            while (message := self._receive(guest, until, numbers)) is not None:
                self.take_in(message, guest.folder)
        if guest.exit_code or not set(numbers) <= set(self.done):
            raise GuestLostError(
                f"a guest's part of the runs ended with exit code {guest.exit_code} before it was done"
            )

    def _receive(self, guest: GuestPeer, until: float, numbers: list[int]) -> Message | None:
        """Return the next message of the guest that does these jobs; its loss names the job that it was doing."""
        try:
            message: Message | None = guest.receive(until)
        except GuestLostError as error:
            began = [number for number in list(self._began) if number in numbers]
            if not began:
                raise
            doing = "while it ended the processes of" if began[-1] in self.done else "while it ran"
            raise GuestLostError(f"{error}; that was {doing} {self._jobs[began[-1]].label!r}") from None
        return message

    def _boot(self, number: int, numbers: list[int]) -> Boot:
        real_time = sum(_longest(self._jobs[n]) for n in numbers)
        return Boot(
            kernel=self._guests.kernel,
            command=command("halfopen.run.guest_part"),
            writable=self._guests.writable,
            wall_limit=self._guests.wall_limit or real_time + _WALL_BEYOND,
            virtual=self._guests.virtual,
            seed=self._call.seed,
            processor=self._guests.first_processor + number,
        )

    def take_in(self, message: Message, folder: Path) -> None:
        """Act on a guest's message; raises InputError if it refuses its part, GuestLostError if it cannot go on."""
        match message:
            case PeerUp():
                with self._lock:
                    if not self._is_up:
                        self._is_up = True
                        self._on_up(message)
            case RunStarted(number):
                self._began[number] = time.monotonic()
            case RunProgress():
                self._show(message)
            case RunFinished(number):
                self._finish(number, folder)
            case StartsSlow(why):
                self._guests.on_slow(why)
            case RunsStuck(why):
                raise GuestLostError(why)
            case Refused(why):
                raise InputError(why)

    def _show(self, seen: RunProgress) -> None:
        view = self._views[seen.number]
        view.phase, view.queued = seen.phase, seen.queued
        # Nobody waits for virtual seconds: they pass in a moment.
        if seen.left is not None and not self._guests.virtual:
            view.deadline = time.monotonic() + seen.left

    def _finish(self, number: int, folder: Path) -> None:
        job, view = self._jobs[number], self._views[number]
        now = time.monotonic()
        seen = timeline.read(guest_part.timeline_file(folder, number))
        subject, others = judge_each(job.scenario, seen, job.terms)
        done = RunResult(job, subject, seen, now - self._began[number], others=others)
        view.phase, view.verdict = "done", done.verdict
        with self._lock:
            self.done[number] = done
            self._on_done(done)


def _longest(job: Job) -> float:
    """Return the most seconds a run would take in real time: server start, first fault, hold."""
    steps = job.scenario.steps
    first = steps[0].at.seconds(grace=job.terms.grace, poll=job.terms.poll) if steps else 0
    return job.ready_within + first + hold(job.scenario, job.terms)
