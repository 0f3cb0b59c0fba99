"""Spread the runs of a call over guests, and judge the timelines that they return."""

from __future__ import annotations

import compileall
import concurrent.futures
import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import msgspec

import halfopen
from halfopen import netns
from halfopen.errors import InputError
from halfopen.model import timeline
from halfopen.netns.bug_report import ForeignError
from halfopen.netns.guest import booting
from halfopen.netns.guest.cache import GuestKernel
from halfopen.netns.guest.machine import Machine
from halfopen.netns.guest.script import Boot
from halfopen.netns.interrupts import as_completed
from halfopen.netns.lab_errors import GuestLostError
from halfopen.run import guest_part
from halfopen.run.guest_part import (
    GuestPart,
    GuestUp,
    Message,
    RunFinished,
    RunProgress,
    RunsBroken,
    RunsRefused,
    RunsStuck,
    RunStarted,
)
from halfopen.run.progress import RunView
from halfopen.run.request import RunRequest
from halfopen.run.runner import Job, RunResult
from halfopen.run.shards import spread
from halfopen.verdict.judge import hold, judge

#: Seconds allowed beyond the runs' own real time before a guest is given up.
_WALL_BEYOND = 60.0
_MEMORY = 2 << 30
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
    first_processor: int = field(default_factory=os.getpid)
    """Processor of the first guest; the others take the next ones. Differs by process, so that calls do not share one.
    """


@dataclass(slots=True)
class _Work:
    """The runs of one guest and their progress."""

    numbers: list[int]
    folder: Path
    began: dict[int, float] = field(default_factory=dict)
    failure: BaseException | None = None
    """Error that the guest reported, or that was raised while reading its messages."""


def run_all(
    call: RunRequest,
    jobs: Sequence[Job],
    views: Sequence[RunView],
    guests: Guests,
    place: Path,
    on_hello: Callable[[GuestUp], None],
    on_done: Callable[[RunResult], None],
) -> list[RunResult]:
    """Run the jobs of ``call`` in guests and return the results in the order given.

    ``place`` is the folder of halfopen.netns.guest.booting.in_private. ``on_hello`` is called with the first guest's
    message about its kernel. Raises InputError if a guest refuses its part (a server does not start),
    GuestLostError if a guest is lost or a run's processes do not end, and ForeignError for a bug. Each ends the other
    guests.
    """
    compile_ourselves()
    effort = _Effort(call, jobs, views, guests, on_hello, on_done)
    shares = spread([hold(job.scenario, job.terms) for job in jobs], guests.count)
    pool = concurrent.futures.ThreadPoolExecutor(max_workers=len(shares))
    running = [pool.submit(effort.run_share, n, share, place / f"guest-{n}") for n, share in enumerate(shares)]
    try:
        for future in as_completed(running):
            future.result()
    except BaseException:
        effort.give_up()
        raise
    finally:
        pool.shutdown()
    return [effort.done[number] for number in sorted(effort.done)]


def compile_ourselves() -> None:
    """Compile our packages now: guests cannot write bytecode, and would compile at each start."""
    for package in (halfopen, netns):
        for folder in package.__path__:
            compileall.compile_dir(folder, quiet=2)


class _Effort:
    """One call in progress."""

    def __init__(
        self,
        call: RunRequest,
        jobs: Sequence[Job],
        views: Sequence[RunView],
        guests: Guests,
        on_hello: Callable[[GuestUp], None],
        on_done: Callable[[RunResult], None],
    ) -> None:
        self._call, self._jobs, self._views, self._guests = call, jobs, views, guests
        self._on_hello, self._on_done = on_hello, on_done
        self._lock = threading.Lock()
        self._machines: list[Machine] = []
        self._greeted = False
        self._given_up = False
        self.done: dict[int, RunResult] = {}

    def give_up(self) -> None:
        """Kill all guests. Their threads notice."""
        with self._lock:
            self._given_up = True
            for machine in self._machines:
                machine.process.kill()

    def run_share(self, number: int, numbers: list[int], place: Path) -> None:
        """Boot the guest with this ``number`` for these jobs and read its messages until it is done."""
        work = _Work(numbers, place / "part")
        work.folder.mkdir(parents=True)
        part = GuestPart(self._call, numbers, self._guests.at_once, _TELL_EVERY[self._guests.virtual])
        (work.folder / guest_part.PART).write_bytes(msgspec.json.encode(part))
        boot = self._boot(number, work)
        try:
            with self._listening(work) as pipe, booting.start(boot, place, pipe.fileno()) as guest:
                pipe.close()
                with self._lock:
                    self._machines.append(guest)
                    if self._given_up:
                        guest.process.kill()
                code = booting.exit_code(guest, boot, time.monotonic() + boot.wall_limit)
        except GuestLostError as error:
            raise GuestLostError(f"{error}{self._last_run(work)}") from None
        if work.failure is not None:
            raise work.failure
        if code or not set(numbers) <= set(self.done):
            raise GuestLostError(f"a guest's part of the runs ended with exit code {code} before it was done")

    def _last_run(self, work: _Work) -> str:
        """Return what the guest was doing, in words that go on a sentence; empty if it had not begun."""
        if not work.began:
            return ""
        number = list(work.began)[-1]
        doing = "while it ended the processes of" if number in self.done else "while it ran"
        return f"; that was {doing} {self._jobs[number].label!r}"

    @contextlib.contextmanager
    def _listening(self, work: _Work) -> Iterator[IO[bytes]]:
        """Yield a pipe for a guest's messages, to be closed once the guest has it. Leaving reads all messages."""
        read, write = os.pipe()
        with os.fdopen(read, "rb") as said:
            listener = threading.Thread(target=self._listen, args=(said, work), daemon=True)
            listener.start()
            try:
                with os.fdopen(write, "wb") as pipe:
                    yield pipe
            finally:
                listener.join()

    def _boot(self, number: int, work: _Work) -> Boot:
        real_time = sum(self._longest(self._jobs[n]) for n in work.numbers)
        return Boot(
            kernel=self._guests.kernel,
            # -P: a folder called harness in the user's current directory must not shadow ours.
            command=[sys.executable, "-P", "-m", "halfopen.run.guest_part", str(work.folder)],
            writable=[work.folder, *self._guests.writable],
            wall_limit=self._guests.wall_limit or real_time + _WALL_BEYOND,
            memory=_MEMORY,
            virtual=self._guests.virtual,
            seed=self._call.seed,
            processor=self._guests.first_processor + number,
            # The order of sets and dicts is drawn from the seed too.
            environment={"PYTHONHASHSEED": str(self._call.seed % 2**32)},
        )

    def _longest(self, job: Job) -> float:
        """Return the most seconds a run would take in real time: server start, first fault, hold."""
        first = (
            job.scenario.steps[0].at.seconds(grace=job.terms.grace, poll=job.terms.poll) if job.scenario.steps else 0
        )
        return job.ready_within + first + hold(job.scenario, job.terms)

    def _listen(self, said: IO[bytes], work: _Work) -> None:
        for line in said:
            # Lines are cut off when a guest is killed. After a failure the pipe is still drained, so that the guest
            # does not block.
            if work.failure is None and line.endswith(b"\n"):
                try:
                    self._take_in(msgspec.json.decode(line, type=Message), work)
                except BaseException as error:  # noqa: BLE001 (raised where the guest is waited for)
                    work.failure = error

    def _take_in(self, message: Message, work: _Work) -> None:
        match message:
            case GuestUp():
                self._greet(message)
            case RunStarted():
                work.began[message.number] = time.monotonic()
            case RunProgress():
                self._show(message)
            case RunFinished():
                self._finish(message, work)
            case RunsRefused():
                work.failure = InputError(message.why)
            case RunsStuck():
                work.failure = GuestLostError(message.why)
            case RunsBroken():
                work.failure = ForeignError(message.summary, message.trace)

    def _greet(self, hello: GuestUp) -> None:
        with self._lock:
            if not self._greeted:
                self._greeted = True
                self._on_hello(hello)

    def _show(self, seen: RunProgress) -> None:
        view = self._views[seen.number]
        view.phase, view.queued = seen.phase, seen.queued
        # Nobody waits for virtual seconds: they pass in a moment.
        if seen.left is not None and not self._guests.virtual:
            view.deadline = time.monotonic() + seen.left

    def _finish(self, ended: RunFinished, work: _Work) -> None:
        number = ended.number
        job, view = self._jobs[number], self._views[number]
        now = time.monotonic()
        seen = timeline.read(guest_part.timeline_file(work.folder, number))
        verdict = judge(job.scenario, seen, job.terms)
        view.phase, view.verdict = "done", verdict
        done = RunResult(job, verdict, seen, now - work.began[number])
        with self._lock:
            self.done[number] = done
            self._on_done(done)
