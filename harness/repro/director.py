"""Play a scenario until the session wedges, hold it there, and carry out the keys."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Self

from halfopen.errors import FaultError
from halfopen.model.journal import Journal
from halfopen.model.timeline import Timeline
from halfopen.repro import wedge, words
from halfopen.repro.counters import History
from halfopen.repro.in_force import Faults
from halfopen.repro.inquiry import Inquiry
from halfopen.repro.look import Deed, SessionView
from halfopen.repro.session_record import Record
from halfopen.repro.tap import Tap
from halfopen.run.runner import Job
from halfopen.run.session import Session
from halfopen.scenario.spec import Step
from halfopen.targets.pod import PodTarget

#: Keys after which the server may behave differently.
_CHANGING = frozenset("tfchw")

#: A scheduled action: its moment on the monotonic clock, its step, and the action.
_Due = tuple[float, int, Callable[[], None]]


class Director:
    """Director of one session. Use it as a context manager: leaving it ends the record."""

    def __init__(self, title: str, session: Session, job: Job, journal: Journal, tap: Tap) -> None:
        self._title, self._session, self._journal, self._tap = title, session, journal, tap
        self._scenario, self._terms, self._detector = job.scenario, job.terms, job.detector
        self._record = Record(journal)
        self._history = History()
        ping = job.target.ping if isinstance(job.target, PodTarget) else None
        self._inquiry = Inquiry(session, journal, self._history, ping)
        self._faults = Faults(session, len(self._scenario.steps))
        self._agenda: list[_Due] = [
            (journal.start + self._terms.seconds(step.at), number, partial(self._begin, step, number))
            for number, step in enumerate(self._scenario.steps)
        ]
        heapq.heapify(self._agenda)
        self._deeds: list[Deed] = []
        self.held: str | None = None
        """Reason for the hold; None before it begins."""
        self.held_at = 0.0
        """Start of the hold, seconds since the session's start."""

    def __enter__(self) -> Self:
        self._tell(f"session open: {self._scenario.title}, client {self._scenario.client.behaviour}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Events from here on are our own doing and prove nothing.
        self._session.recorder.stop()
        self._journal.seal()

    @property
    def now(self) -> float:
        """Seconds since the session's start."""
        return time.monotonic() - self._journal.start

    @property
    def held_since(self) -> float | None:
        """Start of the hold, seconds since the session's start; None before it begins."""
        return self.held_at if self.held else None

    def timeline(self) -> Timeline:
        """Return everything recorded so far."""
        return self._journal.timeline()

    @property
    def deeds(self) -> tuple[Deed, ...]:
        """The actions and events so far, in the order of time."""
        # An event that happens during a slow action is recorded only after that action.
        return tuple(sorted(self._deeds, key=lambda deed: deed.t))

    @property
    def is_settled(self) -> bool:
        """True if the session is held and all that will soon be known of the server is known."""
        return self.held is not None and self._inquiry.has_settled(self.now, is_over=self._record.over_at is not None)

    def step(self) -> None:
        """Take in events and do what is due. Call it several times a second."""
        self._take_in()
        if self.held is None:
            self._play()
        else:
            self._inquiry.step(self.now, is_over=self._record.over_at is not None)

    def patience(self, longest: float) -> float:
        """Seconds until something is due, at most ``longest``."""
        due = self._agenda[0][0] - time.monotonic() if self._agenda and self.held is None else longest
        return max(0.0, min(longest, due))

    def _take_in(self) -> None:
        seen = self._record.take()
        self._history.feed(seen.samples)
        for event in seen.events:
            if text := words.told(event):
                self._tell(text, event.t)
                if words.changes(event):
                    self._inquiry.changed(self.now)

    def _play(self) -> None:
        try:
            while self._agenda and self._agenda[0][0] <= time.monotonic():
                heapq.heappop(self._agenda)[2]()
        except (TimeoutError, FaultError) as error:
            self._hold(f"a fault could not be done: {error}")
            return
        if self._record.over_at is not None:
            self._hold(f"the session is over since {self._record.over_at:.1f}s")
        elif why := wedge.why_hold(self._record.seen(), self._scenario, self._terms, self.now):
            self._hold(why)

    def _hold(self, why: str) -> None:
        self.held, self.held_at = why, self.now
        self._record.forget_samples()
        # Short enough for a line of 80 characters: the second line of the view has the word.
        self._tell(f"held: {why.removeprefix('wedged: ')}")
        self._inquiry.begin(self.now, is_over=self._record.over_at is not None)

    def _begin(self, step: Step, number: int) -> None:
        # The moment the fault began, as in the list of faults. Proving that it works may take another second.
        at = self._faults.begin(step, number)
        self._tell(f"{step.fault} is in force", at)
        if step.lasting is not None:
            moment = time.monotonic() + self._terms.seconds(step.lasting)
            due: _Due = (moment, number, partial(self._end, step, number))
            heapq.heappush(self._agenda, due)

    def _end(self, step: Step, number: int) -> None:
        self._faults.undo(number)
        self._tell(f"{step.fault} is undone")

    def _tell(self, text: str, at: float | None = None) -> None:
        self._deeds.append(Deed(self.now if at is None else at, text))
        self._tap.comment(text)

    # Keys.

    def press(self, key: str) -> bool:
        """Carry out a key; False if the session has no such key."""
        deeds: dict[str, Callable[[], str]] = {
            "t": self._thaw,
            "f": self._freeze,
            "c": self._cut,
            "h": self._heal,
            "d": self._dump,
            "w": self._watchdog,
            "p": self._tap.toggle,
        }
        deed = deeds.get(key)
        if deed is None:
            return False
        if self.held is None and key not in "dp":
            self._tell(f"{key}: not yet, it is still on the way to the wedge")
            return True
        at = self.now
        try:
            self._tell(f"{key}: {deed()}", at)
            if key in _CHANGING:
                self._inquiry.changed(self.now)
        except (FaultError, TimeoutError) as error:
            self._tell(f"{key}: cannot be done: {error}")
        return True

    def finish(self) -> None:
        """Take in the last events. What follows is our own doing and proves nothing."""
        self._take_in()
        self._tap.finish()

    def remark(self, text: str) -> None:
        """Add a remark to the list of actions."""
        self._tell(text)

    def _thaw(self) -> str:
        undone = self._faults.undo_all(stopping=True)
        return f"{', '.join(undone)} undone, the client's process goes on" if undone else "nothing is frozen"

    def _freeze(self) -> str:
        if self._faults.has("freeze", "sleep"):
            return "the client is frozen already"
        if self._session.client.process.exit_code is not None:
            return "the client's process has ended"
        self._faults.begin_by_hand("freeze")
        return "the client's process is stopped"

    def _cut(self) -> str:
        if self._faults.has("cut"):
            return "the path is cut already"
        self._faults.begin_by_hand("cut")
        return "the path is cut, both ways"

    def _heal(self) -> str:
        undone = self._faults.undo_all(stopping=False)
        return f"{', '.join(undone)} undone" if undone else "nothing is in force that can be healed"

    def _dump(self) -> str:
        self._inquiry.take_stacks(self.now)
        self._inquiry.ask(self.now)
        return "looked at the server's threads and asked it for its sessions"

    def _watchdog(self) -> str:
        if self._detector is None:
            return "this server's watchdog is its own, and was never held"
        events = self._record.seen()
        if events.first("target", "watchdog_cannot_be_held"):
            return f"{self._detector} is none of the pod's own threads, and was never held"
        held = words.is_held(events)
        self._session.server.say("release-watchdog" if held else "hold-watchdog")
        return "the watchdog is let go on" if held else "the watchdog is held again"

    def look(self) -> SessionView:
        """Return the current state of the session for display."""
        now, events, over = self.now, self._record.seen(), self._record.over_at
        return SessionView(
            t=now,
            title=self._title,
            phase="streaming" if not self._faults.now else ", ".join(one.fault for one in self._faults.now),
            held=self.held,
            held_at=self.held_at,
            over_at=over,
            over=None if over is None else words.over(self._history.last, over, self._record.gone_at),
            still_since=self._history.still_since,
            sample=self._history.last,
            is_last=over is not None and words.is_gone(self._history.last, self._record.gone_at),
            series=self._history.series(now),
            in_force=self._faults.now,
            watchdog=words.watchdog(events, self._detector, self._terms, now, over),
            books=self._inquiry.books,
            capture=self._tap.told(),
            stacks=self._inquiry.stacks,
            deeds=self.deeds,
        )
