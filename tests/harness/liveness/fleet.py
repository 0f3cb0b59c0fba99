"""Many connections over time, as a watcher sees them, with the real schedule and rule. Nothing waits."""

from __future__ import annotations

import functools
import heapq
import itertools
import math
from collections.abc import Callable, Iterable

from halfopen.liveness.common_outage import CommonOutage, CommonOutageReport
from halfopen.liveness.death import Death
from halfopen.liveness.rule import Darkness, Rule, Terms
from halfopen.liveness.schedule import Polled, PollSchedule
from tests.harness.liveness.test_rule import RTT, Peer

START = 1000.0


class Session(Polled):
    """A connection whose client answers, until something is done to it."""

    def __init__(self, number: int, terms: Terms, rto: float) -> None:
        super().__init__()
        self.number, self.rto = number, rto
        self.peer = Peer(terms)
        self.ended_at: float | None = None
        self.backoff = 0
        """Number of retransmissions since the path went dark."""
        self.is_answering = True
        self.dark_until = -math.inf

    @property
    def rule(self) -> Rule:
        return self.peer.rule

    @property
    def death(self) -> Death | None:
        return self.peer.death if self.ended_at is not None else None


class Fleet:
    """Polls its sessions as a watcher that is never late, and does what a kernel does meanwhile."""

    def __init__(self, terms: Terms, count: int, rtos: Iterable[float] = (0.2,)) -> None:
        self.now = START
        self.terms = terms
        self._schedule: PollSchedule[Session] = PollSchedule(terms.poll)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self.sessions = [Session(number, terms, rto) for number, rto in zip(range(count), itertools.cycle(rtos))]
        for session in self.sessions:
            self._schedule.add(session)
        self.outage = CommonOutage(terms, self._darkness)
        self.reports: list[CommonOutageReport] = []
        self.outage.on_change = self.reports.append
        self.looks: list[Session] = []

    def _darkness(self) -> list[Darkness | None]:
        return [session.rule.darkness for session in self._schedule]

    @property
    def dead(self) -> list[Session]:
        """The sessions that were ended, in that order."""
        return sorted(
            (each for each in self.sessions if each.ended_at is not None), key=lambda each: each.ended_at or 0
        )

    def darken(self, sessions: Iterable[Session], seconds: float = math.inf, *, is_quiet: bool = False) -> None:
        """No question to these clients is answered for so long. Unless it is quiet, they are being sent something."""
        for session in sessions:
            session.is_answering, session.dark_until = False, self.now + seconds
            self._at(session.dark_until, functools.partial(self._heal, session))
            if not is_quiet:
                self._ask(session)

    def _heal(self, session: Session) -> None:
        # What is queued is acknowledged after the next retransmission.
        session.is_answering = True

    def _ask(self, session: Session) -> None:
        session.backoff = 0
        self._retransmit(session)

    def _retransmit(self, session: Session) -> None:
        if session.ended_at is not None:
            return
        session.peer.now = self.now
        if self.now >= session.dark_until:
            self._at(self.now + RTT, functools.partial(self._answer, session))
            return
        session.peer.retransmit()
        self._at(self.now + session.rto * 2**session.backoff, functools.partial(self._retransmit, session))
        session.backoff += 1

    def _answer(self, session: Session) -> None:
        session.peer.now = self.now
        session.peer.acknowledge()
        session.peer.speak()

    def freeze(self, sessions: Iterable[Session]) -> None:
        """Their windows are shut. Their kernels answer every question."""
        for session in sessions:
            session.peer.now = self.now
            session.peer.shut()

    def mute(self, sessions: Iterable[Session]) -> None:
        """Their applications say nothing any more. Their kernels acknowledge everything."""
        for session in sessions:
            session.is_answering = False

    def close(self, sessions: Iterable[Session]) -> None:
        """They close their side."""
        for session in sessions:
            session.peer.seen = session.peer.seen._replace(state=8)  # CLOSE_WAIT

    def _at(self, moment: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._events, (moment, next(self._numbers), action))

    def run(self, seconds: float) -> None:
        """Let so many seconds pass."""
        end = self.now + seconds
        while True:
            poll = self._schedule.next_at(self.now)
            event = self._events[0][0] if self._events else math.inf
            if min(poll, event) > end:
                break
            self.now = max(self.now, min(poll, event))
            if event <= poll:
                heapq.heappop(self._events)[2]()
                continue
            for session in self._schedule.due(self.now):
                self._look(session)
            self.outage.review(self.now)
        self.now = end

    def _look(self, session: Session) -> None:
        peer = session.peer
        peer.now = self.now
        self.looks.append(session)
        if session.is_answering and not peer.seen.unacked:
            peer.answered_at = peer.heard_at = self.now
        elif peer.seen.notsent and not peer.seen.unacked:
            peer.probe()
        asked = peer.asked
        death = peer.look()
        if death is not None and not (
            death.reason == "unreachable" and self.outage.spares(peer.rule.darkness, self.now)
        ):
            session.ended_at = self.now
            self._schedule.remove(session)
            return
        if peer.asked > asked:
            if self.now < session.dark_until:
                self._ask(session)
            else:
                peer.acknowledge()
        self._schedule.expedite(session, peer.rule.due, self.now)
