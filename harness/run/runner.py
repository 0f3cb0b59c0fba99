"""Run scenarios. Only here do the clock, the lab, the target and the clients meet."""

from __future__ import annotations

import concurrent.futures
import contextlib
import heapq
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

from halfopen.errors import FaultError
from halfopen.model.journal import Journal
from halfopen.model.profile import Profile
from halfopen.model.timeline import Timeline
from halfopen.netns.interrupts import as_completed
from halfopen.netns.lab import Lab
from halfopen.netns.lab_errors import TeardownError
from halfopen.run.client_process import NoSessionError
from halfopen.run.faults_in_force import FaultsInForce
from halfopen.run.lab_server import LabServer, Network
from halfopen.run.observer import Stop
from halfopen.run.other_sessions import OtherSessions
from halfopen.run.progress import RunView
from halfopen.run.recorder import STEADY, SamplingRate
from halfopen.run.session import ClientLink, Session
from halfopen.run.start_queue import StartQueue
from halfopen.scenario.spec import CROWD, SUBJECT, OtherClient, Scenario, Step
from halfopen.targets.base import Target
from halfopen.verdict.crowd import crowd_observed_until
from halfopen.verdict.crowd_verdict import CrowdVerdict, judge_crowd
from halfopen.verdict.judge import Timing, Verdict, hold
from halfopen.verdict.several import judge_each, worst

#: Seconds within which a server has made its settings for a session.
_SERVES = 1.0


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
    sampling: SamplingRate = STEADY
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


@dataclass(frozen=True)
class RunResult:
    """A job with its result."""

    job: Job
    subject: Verdict
    """The verdict on the subject's session."""
    timeline: Timeline
    wall: float
    """Seconds of wall time from the first process to the verdict."""
    profile: Profile | None = None
    """Profile of its server; None if that was not observed."""
    others: dict[str, Verdict] = field(default_factory=dict)
    """Verdicts on the sessions of the scenario's other clients, by name."""

    @cached_property
    def verdict(self) -> Verdict:
        """The verdict on the run: the worst of all."""
        return worst(self.subject, self.others, self.crowd)

    @cached_property
    def crowd(self) -> CrowdVerdict | None:
        """The verdict on the scenario's crowd; None if it has none."""
        return judge_crowd(self.job.scenario, self.timeline, self.job.terms)

    @property
    def blamed(self) -> str:
        """The name of the client that the verdict is about: the subject, or the first of the others that made it so."""
        if self.subject.word == self.verdict.word:
            return SUBJECT
        return next((name for name, verdict in self.others.items() if verdict.word == self.verdict.word), SUBJECT)


def run_all(
    jobs: Sequence[Job],
    views: Sequence[RunView],
    at_once: int,
    on_done: Callable[[RunResult], None],
    on_slow: Callable[[str], None] = lambda _: None,
) -> None:
    """Run jobs, ``at_once`` of them at a time.

    ``on_done`` is called with each result before the run's processes are ended, in the run's thread. ``on_slow`` is
    called with a sentence if servers are slow to start on this machine (halfopen.run.start_queue).

    Call it in private namespaces (halfopen.netns.isolation). The first job that raises (TargetError: the server does
    not start), or an interrupt, ends them all. The others are not awaited, since their labs end with the namespaces
    anyway.
    """
    for step in (step for job in jobs for step in job.scenario.steps):
        step.prepare()
    pool = concurrent.futures.ThreadPoolExecutor(max_workers=at_once)
    stop, queue = Stop(), StartQueue(on_slow)
    one_by_one = threading.Lock()

    def report(result: RunResult) -> None:
        with one_by_one:
            on_done(result)

    def carry_out(job: Job, view: RunView) -> None:
        # A future keeps what is returned, and a result has its whole timeline.
        run_one(job, view, stop, report, queue)

    futures = [pool.submit(carry_out, job, view) for job, view in zip(jobs, views, strict=True)]
    try:
        for future in as_completed(futures):
            future.result()
    except BaseException:
        stop.requested = True
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


def run_one(
    job: Job,
    view: RunView,
    stop: Stop,
    on_done: Callable[[RunResult], None] = lambda _: None,
    queue: StartQueue | None = None,
) -> RunResult:
    """Run one scenario in a lab of its own and judge it.

    ``on_done`` is called with the result before the run's processes are ended, which may fail. Runs at the same time
    share a ``queue``, in which each waits for its turn to start. Raises TargetError, TeardownError,
    halfopen.run.observer.Stopped.
    """
    with (queue or StartQueue()).turn(stop) as end_turn:
        return _run_one(job, view, stop, on_done, end_turn)


def _run_one(
    job: Job, view: RunView, stop: Stop, on_done: Callable[[RunResult], None], on_open: Callable[[], None]
) -> RunResult:
    """Run one scenario; ``on_open`` is called once its session is open."""
    begun = time.monotonic()
    view.on_begin()
    journal = Journal()
    results: list[RunResult] = []
    company: list[OtherSessions] = []

    def report() -> None:
        timeline = journal.timeline()
        for others in company:
            timeline = others.added_to(timeline)
        subject, of_others = judge_each(job.scenario, timeline, job.terms)
        result = RunResult(job, subject, timeline, time.monotonic() - begun, others=of_others)
        view.phase, view.verdict = "done", result.verdict
        results.append(result)
        on_done(result)

    @contextlib.contextmanager
    def reporting_no_session(_: LabServer) -> Iterator[None]:
        try:
            yield
        except NoSessionError:
            report()
            raise

    try:
        with (
            Lab() as lab,
            contextlib.suppress(NoSessionError),
            opened(job, lab, journal, view, stop, reporting_no_session, company.append) as session,
        ):
            on_open()
            _Run(job, view, stop, session, company[0]).run()
            report()
    except TeardownError as error:
        raise TeardownError(f"{job.label}: {error}") from None
    return results[0]


@contextlib.contextmanager
def opened(
    job: Job,
    lab: Lab,
    journal: Journal,
    view: RunView,
    stop: Stop,
    around: Callable[[LabServer], AbstractContextManager[object]] = lambda _: contextlib.nullcontext(),
    on_others: Callable[[OtherSessions], object] = lambda _: None,
) -> Iterator[Session]:
    """Start the scenario's server and open the session of its subject; raises TargetError, NoSessionError.

    ``around`` makes a context that is entered after the server listens and before any client connects. ``on_others`` is
    called with the scenario's other clients. Those that come first are connected before the subject.
    """
    scenario, drawn, network = job.scenario, job.drawn, Network(lab)
    client_link = ClientLink(network, "client", scenario.link, journal, drawn)
    # Drawn even if the target has a port of its own, so that later draws do not depend on the target.
    port = drawn.randrange(20000, 30000)
    view.phase = "starting the server"
    with (
        LabServer.start(
            job.target,
            network,
            scenario.edge,
            port=port,
            journal=Journal(journal),
            ready_within=job.ready_within,
        ) as server,
        around(server),
        OtherSessions(scenario, network, drawn, job.sampling) as others,
    ):
        on_others(others)
        others.share(client_link)
        view.phase = "connecting"
        for other in others.connecting_first():
            others.open(other, server, stop)
        with Session.open(server, client_link, scenario.client, view, stop, job.sampling) as session:
            others.join(session)
            yield session


#: Actions to come: a moment of the monotonic clock, the number of its step, and the action, which may return further
#: ones.
_Agenda = list[tuple[float, int, Callable[[], "_Agenda"]]]


class _Run:
    """One scenario in progress."""

    def __init__(self, job: Job, view: RunView, stop: Stop, session: Session, others: OtherSessions) -> None:
        self._scenario, self._terms = job.scenario, job.terms
        self._view, self._stop = view, stop
        self._session, self._others = session, others
        self._journal = session.journal

    def run(self) -> None:
        """Run it to journals that can be judged."""
        try:
            self._play()
            self._play_on()
        except (TimeoutError, FaultError) as error:
            self._journal.note("lab", "trouble", what=str(error))
            self._session.undo_all()
            self._others.undo_all()
            return
        if self._scenario.truth == "alive" or not self._scenario.steps_on(SUBJECT):
            self._session.check_path()
        self._session.watch.settle()
        self._session.note_unread_close()
        self._session.client_link.note_what_it_did()
        self._others.settle()
        # Everything from here on, from undoing the faults to ending the clients, is our own doing and proves nothing.
        self._session.recorder.stop()
        self._others.stop()
        self._journal.close_session()
        self._ask_what_it_does()
        self._journal.seal()

    def _ask_what_it_does(self) -> None:
        """Note which processes hold a session that should be over, and make the server print its stacks."""
        if self._scenario.truth != "alive":
            self._session.note_holders()
        last = self._journal.last_sample()
        if last is not None and self._scenario.truth == "dead" and not self._journal.session_ended:
            self._session.server.running.show_stacks(last.inode)

    def _play(self) -> None:
        """Do each action when it is due, and watch until the hold or the subject's session is over."""
        self._agenda: _Agenda = [
            (self._journal.start + self._terms.seconds(step.at), number, partial(self._begin, step, number))
            for number, step in enumerate(self._scenario.steps)
        ]
        self._agenda += [
            (self._journal.start + self._terms.seconds(other.at), -1, partial(self._connect, other))
            for other in self._scenario.others
            if other.at is not None
        ]
        agenda = self._agenda
        heapq.heapify(agenda)
        self._view.phase = "streaming"
        self._view.deadline = self._first_step_at() + hold(self._scenario, self._terms)
        if self._scenario.crowd is not None:
            crowd_until = self._journal.start + crowd_observed_until(self._scenario, self._terms)
            self._view.deadline = max(self._view.deadline, crowd_until)
        if self._session.watch.until(min([self._journal.start + _SERVES, *(moment for moment, _, _ in agenda)])):
            return
        self._session.note_timeouts()
        while agenda and agenda[0][0] < self._view.deadline:
            if self._session.watch.until(agenda[0][0]):
                return
            self._act()
        self._session.observe(self._scenario.part(SUBJECT), self._terms, self._view.deadline)

    def _play_on(self) -> None:
        """After the subject's session: connect the clients that waited for its end, and observe the others."""
        if not self._others:
            return
        if any(other.at_the_end for other in self._scenario.others):
            self._session.watch.expect_company()
        over_at = time.monotonic()
        for other in self._scenario.others:
            if other.at_the_end:
                self._connect(other)
        until = self._others.observe_until(self._terms, over_at)
        self._view.deadline = max(until, self._view.deadline or until)
        while self._agenda and self._agenda[0][0] < self._view.deadline:
            self._session.watch.past_the_end(self._agenda[0][0])
            self._act()
            until = max(until, self._others.observe_until(self._terms, over_at))
        self._session.watch.past_the_end(until)

    def _act(self) -> None:
        """Do what is due next."""
        for later in heapq.heappop(self._agenda)[2]():
            heapq.heappush(self._agenda, later)

    def _first_step_at(self) -> float:
        steps = [self._terms.seconds(step.at) for step in self._scenario.steps_on(SUBJECT)]
        return self._journal.start + min(steps, default=0.0)

    def _connect(self, other: OtherClient) -> _Agenda:
        self._view.phase = f"connecting {other.name}"
        self._others.open(other, self._session.server, self._stop, self._session)
        return []

    def _struck(self, step: Step, number: int) -> Iterator[tuple[Session | FaultsInForce, int]]:
        """Yield all that the step strikes, with the number that the step has there.

        Of a session, it is that among the steps on its client.
        """
        if step.on == CROWD and self._others.crowd is not None:
            yield self._others.crowd.faults, number
        names = {SUBJECT: self._session, **self._others.sessions}
        for name, session in names.items():
            before = [other for other in self._scenario.steps[:number] if self._scenario.strikes(other, name)]
            if self._scenario.strikes(step, name) and not session.journal.session_ended:
                yield session, len(before)

    def _begin(self, step: Step, number: int) -> _Agenda:
        """Do a fault. Return the later action that undoes it, if it has a duration."""
        undo: _Agenda = []
        for struck, own_number in self._struck(step, number):
            if isinstance(struck, Session) and not own_number:
                struck.check_path()
            struck.begin(step, own_number)
            if step.lasting is not None:
                over_at = time.monotonic() + self._terms.seconds(step.lasting)
                undo.append((over_at, number, partial(self._undo, struck, own_number)))
        self._view.phase = step.fault
        return undo

    def _undo(self, struck: Session | FaultsInForce, number: int) -> _Agenda:
        struck.undo(number)
        self._view.phase = "streaming"
        return []
