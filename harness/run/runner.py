"""Run scenarios. Only here do the clock, the lab, the target and the clients meet."""

from __future__ import annotations

import concurrent.futures
import contextlib
import heapq
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from halfopen.errors import FaultError
from halfopen.model.expressions import Expression
from halfopen.model.journal import Journal
from halfopen.model.timeline import Timeline
from halfopen.netns.interrupts import as_completed
from halfopen.netns.lab import Lab
from halfopen.netns.lab_errors import TeardownError
from halfopen.run import fault_steps
from halfopen.run.observer import Stop
from halfopen.run.path_check import check_path
from halfopen.run.progress import RunView
from halfopen.run.recorder import STEADY, SamplingRate
from halfopen.run.session import Cast, Session, opened
from halfopen.scenario.spec import Scenario, Step
from halfopen.targets.base import Running, Target
from halfopen.verdict.judge import Timing, Verdict, hold, judge


@dataclass(frozen=True, slots=True)
class Job:
    """One scenario to run once."""

    scenario: Scenario
    target: Target
    terms: Timing
    seed: int
    repeat: int
    ready_within: float
    detector: str | None = None
    """The pod's detector; None for other targets."""
    name: str = ""
    """Name of its scenario among the others, if the scenario's own is not unique (suites.tell_apart)."""
    candidate: str | None = None
    """Name of this candidate, if the same scenarios are also run with other detectors or servers."""
    rhythm: SamplingRate = STEADY
    """Sampling rate of the server's socket."""

    @property
    def label(self) -> str:
        """Name in tables, unique among the jobs of its call."""
        return f"{self.candidate}/{self._name}" if self.candidate else self._name

    @property
    def drawn(self) -> random.Random:
        """Source of its random numbers: the same for the same seed."""
        return random.Random(f"{self.seed}/{self.scenario.name}/{self.repeat}")

    @property
    def timeline_file(self) -> Path:
        """Path of its timeline in the folder of timelines. Part of the public contract."""
        file = f"{self._name.replace('/', '-')}.jsonl"
        return Path(self.candidate, file) if self.candidate else Path(file)

    @property
    def _name(self) -> str:
        name = self.name or self.scenario.name
        return name if self.repeat == 1 else f"{name}-{self.repeat}"


@dataclass(frozen=True, slots=True)
class RunResult:
    """A job with its result."""

    job: Job
    verdict: Verdict
    timeline: Timeline
    wall: float
    """Seconds of wall time from the first process to the verdict."""


def run_all(
    jobs: Sequence[Job], views: Sequence[RunView], at_once: int, on_done: Callable[[RunResult], None]
) -> list[RunResult]:
    """Run jobs, ``at_once`` of them at a time, and return the results in the order given.

    ``on_done`` is called with each result before the run's processes are ended, in the run's thread.

    Call it in private namespaces (halfopen.netns.isolation). The first job that raises (TargetError: the server does
    not start), or an interrupt, ends them all. The others are not awaited, since their labs end with the namespaces
    anyway.
    """
    pool = concurrent.futures.ThreadPoolExecutor(max_workers=at_once)
    stop = Stop()
    one_by_one = threading.Lock()

    def report(result: RunResult) -> None:
        with one_by_one:
            on_done(result)

    futures = {
        pool.submit(run_one, job, view, stop, report): n for n, (job, view) in enumerate(zip(jobs, views, strict=True))
    }
    results: dict[int, RunResult] = {}
    try:
        for future in as_completed(futures):
            results[futures[future]] = future.result()
    except BaseException:
        stop.requested = True
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()
    return [results[n] for n in sorted(results)]


def run_one(job: Job, view: RunView, stop: Stop, on_done: Callable[[RunResult], None] = lambda _: None) -> RunResult:
    """Run one scenario in a lab of its own and judge it.

    ``on_done`` is called with the result before the run's processes are ended, which may fail. Raises TargetError,
    TeardownError, halfopen.run.observer.Stopped.
    """
    view.on_begin()
    try:
        with Lab() as lab:
            return _Run(job, view, stop, lab, on_done).run()
    except TeardownError as error:
        raise TeardownError(f"{job.label}: {error}") from None


#: Actions to come: a moment of the monotonic clock, the number of its step, and the action, which may return further
#: ones.
_Agenda = list[tuple[float, int, Callable[[], "_Agenda"]]]


class _Run:
    """One scenario in progress."""

    def __init__(self, job: Job, view: RunView, stop: Stop, lab: Lab, on_done: Callable[[RunResult], None]) -> None:
        self._begun = time.monotonic()
        self._on_done = on_done
        self._result: RunResult | None = None
        self._job = job
        self._scenario = job.scenario
        self._view = view
        self._journal = journal = Journal()
        self._cast = Cast(job.scenario, job.target, job.ready_within, job.drawn, journal, view, stop, job.rhythm)
        self._lab = lab

    def run(self) -> RunResult:
        """Run it from an empty lab to its result."""
        with opened(self._cast, self._lab) as session:
            if session is not None:
                self._observe(session)
            return self._judged()

    def _judged(self) -> RunResult:
        """Judge it, once, and report the result."""
        if self._result is None:
            timeline = self._journal.timeline()
            verdict = judge(self._scenario, timeline, self._job.terms)
            self._view.phase, self._view.verdict = "done", verdict
            self._result = RunResult(self._job, verdict, timeline, time.monotonic() - self._begun)
            self._on_done(self._result)
        return self._result

    def _observe(self, session: Session) -> None:
        # A fault is over even if undoing it gets no answer from a server that has gone silent.
        with contextlib.suppress(TimeoutError), contextlib.ExitStack() as in_force:
            try:
                self._play(session, in_force)
            except (TimeoutError, FaultError) as error:
                self._journal.note("lab", "trouble", what=str(error))
                return
            if self._scenario.truth == "alive":
                self._check_path(session)
            session.watch.settle()
            session.client_link.note_what_it_did()
            # Everything from here on, from undoing the faults to ending the client, is our own doing and proves
            # nothing.
            session.recorder.stop()
            self._journal.close_session()
            self._ask_what_it_does(session.server)
            self._journal.seal()
            self._judged()

    def _ask_what_it_does(self, server: Running) -> None:
        """Make a server that holds a dead client print its stacks while it does so."""
        last = self._journal.last_sample()
        if last is not None and self._scenario.truth == "dead" and not self._journal.session_ended:
            server.show_stacks(last.inode)

    def _play(self, session: Session, in_force: contextlib.ExitStack) -> None:
        """Do and undo each fault when it is due, and watch until the hold or the session is over."""
        watch = session.watch
        start, hold_for = self._journal.start, hold(self._scenario, self._job.terms)
        agenda: _Agenda = [
            (start + self._seconds(step.at), number, partial(self._begin, step, number, session, in_force))
            for number, step in enumerate(self._scenario.steps)
        ]
        heapq.heapify(agenda)
        self._view.phase = "streaming"
        self._view.deadline = (agenda[0][0] if agenda else start) + hold_for
        while agenda and agenda[0][0] < self._view.deadline:
            moment, _, act = heapq.heappop(agenda)
            if watch.until(moment):
                return
            for later in act():
                heapq.heappush(agenda, later)
        fault_steps.look_on(watch, self._journal, self._scenario, self._job.terms, self._view.deadline, self._put_off)

    def _check_path(self, session: Session) -> None:
        check_path(session.scene, self._journal, session.way.site.public_ip)

    def _put_off(self, moment: float) -> None:
        self._view.deadline = moment

    def _begin(self, step: Step, number: int, session: Session, in_force: contextlib.ExitStack) -> _Agenda:
        """Do a fault. Return the later action that undoes it, if it has a duration."""
        if not number:
            self._check_path(session)
        undo = fault_steps.begin(step, number, session.scene, self._journal)
        in_force.push(undo)
        self._view.phase = step.fault
        if step.lasting is None:
            return []
        return [(time.monotonic() + self._seconds(step.lasting), number, partial(self._undo, undo))]

    def _undo(self, fault: contextlib.ExitStack) -> _Agenda:
        fault.close()
        self._view.phase = "streaming"
        return []

    def _seconds(self, expression: Expression) -> float:
        return expression.seconds(grace=self._job.terms.grace, poll=self._job.terms.poll)
