"""Runs scenarios: the one place where the clock, the lab, the target and the clients meet."""

from __future__ import annotations

import concurrent.futures
import contextlib
import heapq
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from harness.client_process import ClientProcess, client
from harness.expressions import Expression
from harness.faults._scene import Scene
from harness.journal import Journal
from harness.judge import Terms, Verdict, hold, judge
from harness.recorder import Recorder, recording
from harness.run_view import RunView
from harness.scenario import Scenario, Step
from harness.targets.base import Running, Site, Target
from harness.timeline import Timeline
from netns.lab import Lab
from netns.link import Link
from netns.sockets import Address

#: A client that has not opened its session after this is not going to, seconds.
_CONNECT_WITHIN = 60.0
#: Between questions to a target, seconds: until its list shows the session, and after.
_ASK_UNTIL_LISTED = 1.0
_ASK_LATER = 10.0
#: Between questions to a target whose session just ended, seconds.
_SETTLE_INTERVAL = 0.1
#: A session's end is watched at least so long, for what the kernel keeps of it, and the target's own books
#: get at most so long to follow, seconds.
_SETTLE_AT_LEAST = 1.0
_SETTLE_AT_MOST = 5.0


@dataclass(frozen=True, slots=True)
class Job:
    """One scenario to run once."""

    scenario: Scenario
    target: Target
    terms: Terms
    seed: int
    repeat: int
    ready_within: float
    detector: str | None = None
    """The pod's detector; None for other targets."""

    @property
    def label(self) -> str:
        """How it is called in tables and files."""
        return self.scenario.name if self.repeat == 1 else f"{self.scenario.name}-{self.repeat}"


@dataclass(frozen=True, slots=True)
class Done:
    """A job with what came of it."""

    job: Job
    verdict: Verdict
    timeline: Timeline
    wall: float
    """Seconds from the first process to the last."""


def run_all(jobs: Sequence[Job], views: Sequence[RunView], at_once: int, on_done: Callable[[Done], None]) -> list[Done]:
    """Run jobs, ``at_once`` of them at a time, and return what came of them in the order given.

    Must be called in namespaces of its own (netns.isolation). The first job that raises (TargetError:
    the server does not start) or an interrupt ends them all: the others are not waited for, since their
    labs end with the namespaces anyway.
    """
    pool = concurrent.futures.ThreadPoolExecutor(max_workers=at_once)
    stop = Stop()
    futures = {pool.submit(run_one, job, view, stop): n for n, (job, view) in enumerate(zip(jobs, views, strict=True))}
    results: dict[int, Done] = {}
    try:
        for future in concurrent.futures.as_completed(futures):
            results[futures[future]] = future.result()
            on_done(results[futures[future]])
    except BaseException:
        stop.requested = True
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()
    return [results[n] for n in sorted(results)]


@dataclass
class Stop:
    """Shared by all runs: whether they are to end early."""

    requested: bool = False


class Stopped(Exception):  # noqa: N818 (not an error)
    """A run that was asked to end early."""


def run_one(job: Job, view: RunView, stop: Stop) -> Done:
    """Run one scenario in a lab of its own and judge it; raises TargetError, Stopped."""
    begun = time.monotonic()
    journal = Journal()
    with Lab() as lab:
        _Run(job, view, stop, journal, lab).run()
    timeline = journal.timeline()
    verdict = judge(job.scenario, timeline, job.terms)
    view.phase, view.verdict = "done", verdict
    return Done(job, verdict, timeline, time.monotonic() - begun)


#: What is to be done when: moments of the monotonic clock, the step they belong to, and the deed, which may plan more.
_Agenda = list[tuple[float, int, Callable[[], "_Agenda"]]]


class _Run:
    """One scenario under way: client ──link──▶ router ──▶ server."""

    def __init__(self, job: Job, view: RunView, stop: Stop, journal: Journal, lab: Lab) -> None:
        self._job = job
        self._scenario = job.scenario
        self._view = view
        self._stop = stop
        self._journal = journal
        self._random = random.Random(f"{job.seed}/{job.scenario.name}/{job.repeat}")
        self._client_host = lab.host("client")
        self._router = lab.router("router")
        self._server_host = lab.host("server")
        self._link = lab.link(self._client_host, self._router)
        self._uplink = lab.link(self._router, self._server_host)

    def run(self) -> None:
        """From an empty lab to a journal that can be judged."""
        self._impair(self._link)
        site = Site(
            host=self._server_host,
            ip=self._uplink.end(self._server_host).ip,
            port=self._random.randrange(20000, 30000),
            journal=self._journal,
            ready_within=self._job.ready_within,
            keep_open=(self._router,),
        )
        client_id = f"{self._random.getrandbits(32):08x}"
        self._view.phase = "starting the server"
        with (
            self._job.target.start(site) as server,
            recording(self._journal, self._server_host, site.port) as recorder,
        ):
            self._view.phase = "connecting"
            url = server.url(client_id)
            with client(self._client_host, self._scenario.client, url, self._journal, (self._router,)) as its:
                opened = its.connect(_CONNECT_WITHIN)
                if isinstance(opened, str):
                    self._journal.note("lab", "trouble", what=opened)
                    return
                self._observe(its, server, recorder, opened, client_id)

    def _impair(self, link: Link) -> None:
        link.impair(self._client_host, self._scenario.link.to_client)
        link.impair(self._router, self._scenario.link.to_server)

    def _observe(
        self, its: ClientProcess, server: Running, recorder: Recorder, address: Address, client_id: str
    ) -> None:
        connected = self._journal.find("client", "opened")
        assert connected is not None
        self._journal.start = connected.t
        recorder.follow(address)
        watch = _Watch(self._journal, its, server, client_id, self._view, self._stop)
        scene = Scene(its, self._client_host, self._link)
        with contextlib.ExitStack() as in_force:
            try:
                self._play(scene, watch, in_force)
            except TimeoutError as error:
                self._journal.note("lab", "trouble", what=str(error))
                return
            watch.settle()
            # What follows, from undoing the faults to ending the client, is ours and proves nothing.
            recorder.stop()
            self._journal.seal()

    def _play(self, scene: Scene, watch: _Watch, in_force: contextlib.ExitStack) -> None:
        """Do and undo each fault when it is due and look on until the hold is over or the session is."""
        start, hold_for = self._journal.start, hold(self._scenario, self._job.terms)
        agenda: _Agenda = [
            (start + self._seconds(step.at), number, partial(self._begin, step, number, scene, in_force))
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
        watch.until(self._view.deadline)

    def _begin(self, step: Step, number: int, scene: Scene, in_force: contextlib.ExitStack) -> _Agenda:
        """Do a fault; gives what is to be done later, which is to undo it."""
        undo = contextlib.ExitStack()
        in_force.push(undo)
        # Noted before it is entered: what it causes must not come before it in the timeline.
        self._journal.note("fault", "begun", step=number, fault=step.fault)
        undo.callback(self._journal.note, "fault", "undone", step=number, fault=step.fault)
        undo.enter_context(step.module.fault(scene, step.options))
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


class _Watch:
    """Looks at a session until a moment, asking the target for its books now and then."""

    def __init__(
        self,
        journal: Journal,
        its: ClientProcess,
        server: Running,
        client_id: str,
        view: RunView,
        stop: Stop,
    ) -> None:
        self._journal = journal
        self._client = its
        self._server = server
        self._client_id = client_id
        self._view = view
        self._stop = stop
        self._ask_at = 0.0

    def until(self, moment: float) -> bool:
        """Look on until ``moment`` of the monotonic clock; True at once when the session has ended."""
        while time.monotonic() < moment:
            if self._stop.requested:
                raise Stopped
            if self._ended():
                return True
            if time.monotonic() >= self._ask_at:
                self._ask()
            self._journal.wait(self._ended, min(moment, self._ask_at))
        return self._ended()

    def _ended(self) -> bool:
        last = self._journal.last_sample()
        if last is not None:
            self._view.queued = last.outq
        return self._journal.session_ended or self._server.process.exit_code is not None

    def _ask(self) -> dict[str, object]:
        status = self._server.status()
        listed = self._server.session_listed(status, self._client_id)
        data = status.as_data() | ({} if listed is None else {"listed": listed})
        if data:
            self._journal.note("registry", "status", **data)
        self._ask_at = time.monotonic() + (_ASK_LATER if listed else _ASK_UNTIL_LISTED)
        return data

    def settle(self) -> None:
        """After the end: watch what lingers in the kernel, and let the target's own books follow."""
        self._settle()
        code = self._client.process.exit_code
        if code is not None and code > 0:  # a signal's is negative, and may be a fault's doing
            said = self._client.process.tail()
            self._journal.note("lab", "trouble", what=f"the client failed with exit code {code}: {said}")

    def _settle(self) -> None:
        code = self._server.process.exit_code
        if code is not None:
            self._journal.note("target", "exited", code=code, said=self._server.process.tail())
            return
        if not self._journal.session_ended:
            self._ask()
            return
        self._view.phase = "settling"
        least = time.monotonic() + _SETTLE_AT_LEAST
        most = time.monotonic() + _SETTLE_AT_MOST
        while time.monotonic() < most:
            data = self._ask()
            followed = not (data.get("listed") or data.get("lock_held") or data.get("session_threads"))
            if followed and time.monotonic() >= least:
                return
            self._journal.wait(lambda: False, time.monotonic() + _SETTLE_INTERVAL)
