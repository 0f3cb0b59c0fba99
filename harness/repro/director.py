"""Play a scenario until the session wedges, hold it there, and carry out the keys."""

from __future__ import annotations

import contextlib
import dataclasses
import heapq
import time
from collections.abc import Callable, Iterator
from functools import partial

from halfopen.errors import FaultError, TargetError
from halfopen.model.evidence import ENDED_STATES
from halfopen.model.journal import Journal
from halfopen.model.timeline import Event, Sample, Timeline
from halfopen.netns.host import Host
from halfopen.netns.lab import Lab
from halfopen.netns.lab_errors import TeardownError
from halfopen.repro import wedge
from halfopen.repro.counters import History
from halfopen.repro.frontends import AGAIN
from halfopen.repro.inspector import Inspector
from halfopen.repro.session_capture import SessionCapture
from halfopen.repro.view import Action, InForce, SessionView
from halfopen.results import words
from halfopen.run.client_process import NoSessionError
from halfopen.run.observer import Stop
from halfopen.run.progress import RunView
from halfopen.run.runner import Job, opened
from halfopen.run.session import Session
from halfopen.scenario.scenario_file import step_of
from halfopen.scenario.spec import SUBJECT, Step
from halfopen.targets.pod import PodTarget
from halfopen.verdict.findings import Findings, find
from halfopen.verdict.resources import cost

#: Keys after which the server may behave differently.
_CHANGING = frozenset("tfchw")
#: Events that change nothing about the server: a verdict that is not carried out does not.
_UNCHANGING = frozenset({"verdict_held", "verdict_dropped", "trouble"})
#: Frequent events, which are not kept, since a hold may last for hours.
_FREQUENT = frozenset({("client", "progress"), ("client", "output"), ("target", "output"), ("registry", "status")})

#: A scheduled action: its moment on the monotonic clock, its step, and the action.
_Due = tuple[float, int, Callable[[], None]]


def with_held_watchdog(job: Job, ping: float) -> Job:
    """Return the job with the pod's watchdog held, and a keepalive ping every ``ping`` seconds."""
    if not isinstance(job.target, PodTarget):
        return job
    return dataclasses.replace(job, target=dataclasses.replace(job.target, held=True, ping=ping))


@contextlib.contextmanager
def directed(job: Job, title: str, capture: SessionCapture) -> Iterator[Director]:
    """Open the session to be held, in a lab of its own.

    Raises TargetError if the client is not connected, and TeardownError for processes that do not end.
    """
    journal = Journal()
    try:
        with Lab() as lab, opened(job, lab, journal, RunView(job.label), Stop(), capture.at) as session:
            try:
                yield Director(title, session, job, journal, capture)
            finally:
                # Events from here on are our own doing and prove nothing.
                session.recorder.stop()
                journal.seal()
    except NoSessionError as error:
        raise TargetError(f"there is no session to hold: {error}") from None
    except TeardownError as error:
        raise TeardownError(f"{job.label}: {error}") from None


class Faults:
    """Faults in force in a held session: steps of the scenario, and faults injected by hand.

    The session undoes what is left when it is closed.
    """

    def __init__(self, session: Session, numbered_from: int) -> None:
        """``numbered_from`` is the first number that is free for faults injected by hand."""
        self._session = session
        self._next = numbered_from
        self._in_force: dict[int, tuple[Step, InForce]] = {}

    @property
    def now(self) -> tuple[InForce, ...]:
        """The faults in force."""
        return tuple(fault for _, fault in self._in_force.values())

    def begin(self, step: Step, number: int) -> float:
        """Begin a step of the scenario; returns when it came into force.

        Raises FaultError, TimeoutError.
        """
        since = time.monotonic() - self._session.journal.start
        self._session.begin(step, number)
        self._in_force[number] = (step, InForce(step.fault, since))
        return since

    def begin_by_hand(self, fault: str) -> None:
        """Begin a fault without options; raises FaultError, TimeoutError."""
        at = max(0.0, time.monotonic() - self._session.journal.start)
        number, self._next = self._next, self._next + 1
        self.begin(step_of({"at": f"{at:.6f}s", "fault": fault}, fault), number)

    def has(self, name: str) -> bool:
        """True if a fault of this name is in force."""
        return any(fault.fault == name for fault in self.now)

    @property
    def stop_client(self) -> bool:
        """True if a fault that stops the client is in force."""
        return any(getattr(step.module, "STOPS_CLIENT", False) for step, _ in self._in_force.values())

    def undo_all(self, *, stopping: bool) -> list[str]:
        """Undo the faults that stop the client, or else all others that can be undone; returns their names."""
        chosen = [
            number
            for number, (step, _) in self._in_force.items()
            if getattr(step.module, "STOPS_CLIENT", False) == stopping and not getattr(step.module, "IS_FINAL", False)
        ]
        names = [self._in_force[number][1].fault for number in chosen]
        for number in reversed(chosen):
            self.undo(number)
        return names

    def undo(self, number: int) -> None:
        """Undo one fault, if it is still in force."""
        self._in_force.pop(number, None)
        # If the server no longer answers the undoing, the fault counts as over all the same.
        with contextlib.suppress(TimeoutError):
            self._session.undo(number)


class Director:
    """Director of one session, in which all faults are begun and undone."""

    def __init__(self, title: str, session: Session, job: Job, journal: Journal, capture: SessionCapture) -> None:
        self._title, self._session, self._journal, self._capture = title, session, journal, capture
        self._faults = Faults(session, len(job.scenario.part(SUBJECT).steps))
        self._scenario, self._terms, self._detector = job.scenario.part(SUBJECT), job.terms, job.detector
        self._taken = (0, 0, 0)
        self._samples: list[Sample] = []
        self._events: list[Event] = []
        self._over_at: float | None = None
        self._gone_at: float | None = None
        self._history = History()
        ping = job.target.ping if isinstance(job.target, PodTarget) else None
        self._inspector = Inspector(session, journal, self._history, ping)
        self._agenda: list[_Due] = [
            (journal.start + self._terms.seconds(step.at), number, partial(self._begin, step, number))
            for number, step in enumerate(self._scenario.steps)
        ]
        heapq.heapify(self._agenda)
        self._actions: list[Action] = []
        self._held: str | None = None
        self._held_at = 0.0
        self._report(f"session open: {self._scenario.title}, client {self._scenario.client.behaviour}")

    @property
    def now(self) -> float:
        """Seconds since the session's start."""
        return time.monotonic() - self._journal.start

    @property
    def server_host(self) -> Host:
        """The host in which the server runs."""
        return self._session.server.site.host

    @property
    def client_host(self) -> Host:
        """The host in which the client runs."""
        return self._session.scene.client_host

    @property
    def is_settled(self) -> bool:
        """True if the session is held and all that will soon be known of the server is known."""
        return self._held is not None and self._inspector.has_settled(self.now, is_over=self._over_at is not None)

    def step(self) -> None:
        """Take in events and do what is due. Call it several times a second."""
        self._take_in()
        if self._held is None:
            self._play()
        else:
            self._inspector.step(self.now, is_over=self._over_at is not None)

    def patience(self, longest: float) -> float:
        """Seconds until something is due, at most ``longest``."""
        due = self._agenda[0][0] - time.monotonic() if self._agenda and self._held is None else longest
        return max(0.0, min(longest, due))

    def _take_in(self) -> None:
        new = self._journal.after(*self._taken)
        samples, events, processes = self._taken
        self._taken = (samples + len(new.samples), events + len(new.events), processes + len(new.processes))
        if self._held is None:
            self._samples += new.samples
        self._events += [event for event in new.events if (event.kind, event.name) not in _FREQUENT]
        if self._over_at is None:
            self._over_at = _ended_at(new)
        # The newest event counts: a destroyed socket may leave a smaller one behind, which goes later.
        self._gone_at = max((event.t for event in new.of("kernel")), default=self._gone_at)
        self._history.feed(new.samples)
        self._history.feed_processes(new.processes)
        for event in new.events:
            # Faults and the beginning are reported when they are carried out.
            if event.kind != "fault" and event.name != "connected" and (text := words.event(event)):
                self._report(text, event.t)
                if event.name not in _UNCHANGING:
                    self._inspector.changed(self.now)

    def _seen(self) -> Timeline:
        return Timeline(tuple(self._samples), tuple(self._events))

    def _play(self) -> None:
        try:
            while self._agenda and self._agenda[0][0] <= time.monotonic():
                heapq.heappop(self._agenda)[2]()
        except (TimeoutError, FaultError) as error:
            self._hold(f"a fault failed: {error}")
            return
        if self._over_at is not None:
            self._hold(f"the session ended at {self._over_at:.1f}s")
        elif why := wedge.why_hold(self._seen(), self._scenario, self._terms, self.now):
            self._hold(why)

    def _hold(self, why: str) -> None:
        self._held, self._held_at = why, self.now
        self._samples.clear()
        # Short enough for a line of 80 characters: the second line of the view has the word.
        self._report(f"held: {why.removeprefix('wedged: ')}")
        self._inspector.begin(self.now, is_over=self._over_at is not None)

    def _begin(self, step: Step, number: int) -> None:
        # The moment the fault began, as in the list of faults. Proving that it works may take another second.
        self._report_fault("begun", step, self._faults.begin(step, number))
        if step.lasting is not None:
            moment = time.monotonic() + self._terms.seconds(step.lasting)
            due: _Due = (moment, number, partial(self._end, step, number))
            heapq.heappush(self._agenda, due)

    def _end(self, step: Step, number: int) -> None:
        self._faults.undo(number)
        self._report_fault("undone", step, self.now)

    def _report_fault(self, name: str, step: Step, at: float) -> None:
        self._report(words.event(Event(t=at, kind="fault", name=name, data={"fault": step.fault})) or "", at)

    def _report(self, text: str, at: float | None = None) -> None:
        self._actions.append(Action(self.now if at is None else at, text))
        self._capture.comment(text)

    # Keys.

    def press(self, key: str) -> bool:
        """Carry out a key; False if the session has no such key."""
        actions: dict[str, Callable[[], str]] = {
            "t": self._thaw,
            "f": self._freeze,
            "c": self._cut,
            "h": self._heal,
            "d": self._dump,
            "w": self._watchdog,
            "p": self._capture.toggle,
        }
        action = actions.get(key)
        if action is None:
            return False
        if self._held is None and key not in "dp":
            self._report(f"{key}: not before the session is held")
            return True
        at = self.now
        try:
            self._report(f"{key}: {action()}", at)
            if key in _CHANGING:
                self._inspector.changed(self.now)
        except (FaultError, TimeoutError) as error:
            self._report(f"{key}: failed: {error}")
        return True

    def remark(self, text: str) -> None:
        """Add a remark to the list of actions."""
        self._report(text)

    def _thaw(self) -> str:
        undone = self._faults.undo_all(stopping=True)
        return f"{', '.join(undone)} undone, the client runs again" if undone else "the client is not frozen"

    def _freeze(self) -> str:
        if self._faults.stop_client:
            return "the client is already frozen"
        if self._session.client.process.exit_code is not None:
            return "the client's process has ended"
        self._faults.begin_by_hand("freeze")
        return "the client is frozen"

    def _cut(self) -> str:
        if self._faults.has("cut"):
            return "the path is already cut"
        self._faults.begin_by_hand("cut")
        return "the path is cut in both directions"

    def _heal(self) -> str:
        undone = self._faults.undo_all(stopping=False)
        return f"{', '.join(undone)} undone" if undone else "no fault in force can be healed"

    def _dump(self) -> str:
        self._inspector.take_stacks(self.now)
        self._inspector.ask(self.now)
        return "read the server's threads and its list of sessions"

    def _watchdog(self) -> str:
        if self._detector is None:
            return "this server's own watchdog cannot be held"
        if self._seen().first("target", "watchdog_cannot_be_held"):
            return f"{self._detector} is not a thread of the pod, so it was never held"
        last = self._seen().last("target", "watchdog_held", "watchdog_released")
        is_held = last is not None and last.name == "watchdog_held"
        self._session.server.say("release-watchdog" if is_held else "hold-watchdog")
        return "the watchdog is released" if is_held else "the watchdog is held again"

    # For display.

    def view(self) -> SessionView:
        """Return the current state of the session for display."""
        now, over, last = self.now, self._over_at, self._history.last
        return SessionView(
            t=now,
            title=self._title,
            phase="streaming" if not self._faults.now else ", ".join(fault.fault for fault in self._faults.now),
            held=self._held,
            held_at=self._held_at,
            over_at=over,
            over=None if over is None else words.remains(last, over, self._gone_at),
            still_since=self._history.still_since,
            sample=last,
            is_last=over is not None and words.is_gone(last, self._gone_at),
            processes=self._history.processes,
            series=self._history.series(now),
            in_force=self._faults.now,
            watchdog=words.watchdog(self._seen(), self._detector, self._terms, now, over),
            server=self._inspector.status,
            capture=self._capture.state(),
            stacks=self._inspector.stacks,
            # An event that happens during a slow action is recorded only after that action.
            actions=tuple(sorted(self._actions, key=lambda action: action.t)),
        )

    def account(self, again: str, *, lists_actions: bool) -> list[str]:
        """End the capture and return the closing account. Later events are our own doing and prove nothing.

        ``again`` is the command that repeats the hold.
        """
        self._take_in()
        self._capture.finish()
        return account(self.view(), find(self._journal.timeline(), self._scenario), again, lists_actions=lists_actions)


def _ended_at(new: Timeline) -> float | None:
    """Return when the server's side of the session was seen to have ended."""
    samples = [sample.t for sample in new.samples if sample.state in ENDED_STATES][:1]
    events = (*new.of("kernel"), *new.of("client", "close_received"), *new.of("target", "exited"))
    return min([*samples, *(event.t for event in events)], default=None)


def account(last: SessionView, found: Findings, again: str, *, lists_actions: bool) -> list[str]:
    """Return the lines of the closing account: the hold, the actions, and how the session ended."""
    held = "never held" if last.held is None else f"held for {words.ago(last.t - last.held_at)}"
    lines = [f"{held}; the session was {_ending(last, found)}", *filter(None, [cost(found)])]
    if lists_actions:
        lines += [f"  {action.t:7.1f}s  {action.text}" for action in last.actions]
    if last.capture:
        lines.append(f"capture: {last.capture}")
    return [*lines, f"{AGAIN}   {again}"]


def _ending(last: SessionView, found: Findings) -> str:
    if found.ended_at is not None:
        reason = f" ({found.reason})" if found.reason else ""
        return f"{found.outcome} at {found.ended_at:.1f}s{reason}"
    if last.still_since is None:
        return "still open, with nothing stuck"
    queued = last.sample.outq if last.sample else 0
    return f"still held by the server: {words.stalled(queued, last.t - last.still_since)}"
