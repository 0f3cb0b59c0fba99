"""Decide which sessions of a server to end, poll by poll. Pure: readings of its sockets in, verdicts out.

Most sessions have nothing queued at most polls. They cost nothing then: a poll brings only those that have, those that
one side has closed, and now and then all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from halfopen.guard.reap_limit import ReapBudget, ReapLimit
from halfopen.guard.session_rules import RULES, OutsideRule, is_dialled
from halfopen.liveness.common_outage import CommonOutage, CommonOutageReport
from halfopen.liveness.death import Death
from halfopen.liveness.reading import Reading
from halfopen.liveness.rule import Darkness, Terms
from halfopen.netns.census import RawSample


@dataclass(frozen=True, slots=True)
class GuardTerms:
    """Parameters of a guard."""

    terms: Terms
    """Those of its rule. ``half_closed`` is the grace, since a server may still deliver what came before."""
    rule: str = "halfopen"
    """A name in RULES."""
    limit: ReapLimit = field(default_factory=ReapLimit)


class GuardVerdict(NamedTuple):
    """A session to end, and the reading that says so."""

    seen: RawSample
    reading: Reading
    death: Death
    lasted_s: float
    """Seconds for which it has been stuck: without an acknowledgement, without an answer, or closed by one side."""
    is_again: bool = False
    """True if it was ended a grace ago, but its server has not closed it."""


class LimitReport(NamedTuple):
    """The begin or the end of a time in which verdicts wait for the limit. Its text is a sentence for a log."""

    phase: Literal["held", "over"]
    waiting: int
    """Number of verdicts that wait."""
    sessions: int
    """Number of all sessions."""
    limit: ReapLimit

    def __str__(self) -> str:
        if self.phase == "over":
            return f"no verdict waits for --max-reaps {self.limit} any more"
        return (
            f"{self.waiting} of {self.sessions} sessions look dead beyond --max-reaps {self.limit}; they wait. "
            "So many deaths at once are rare: check the network and what is in front of this server"
        )


BrakeReport = CommonOutageReport | LimitReport


class _Urgent(NamedTuple):
    due: float
    seen: RawSample


class _Session:
    __slots__ = ("is_dialled", "poll", "rule", "settled")

    def __init__(self, rule: OutsideRule) -> None:
        self.rule = rule
        self.poll = 0
        """Number of the poll that brought it last."""
        self.is_dialled: bool | None = None
        self.settled: Literal["", "reported", "ended", "still open"] = ""


class Guard:
    """Decides for all sessions of one server. ``now`` is always in seconds of the monotonic clock."""

    def __init__(self, terms: GuardTerms) -> None:
        self._terms = terms.terms
        self._rule = RULES[terms.rule]
        self._limit = terms.limit
        self._budget = ReapBudget(terms.limit)
        self._outage = CommonOutage(terms.terms, self._darkness)
        self._outage.on_change = self._report
        self.on_brake: Callable[[BrakeReport], object] = lambda _report: None
        """Called when verdicts begin to wait, and when that ends."""
        self._sessions: dict[bytes, _Session] = {}
        self._number = 0
        self._polled_at: float | None = None
        self._count = 0
        self._is_limited = False
        self._urgent: dict[bytes, _Urgent] = {}

    @property
    def due(self) -> float:
        """Time of the next look at some sessions, if that is before the next poll; else infinite."""
        return min((urgent.due for urgent in self._urgent.values()), default=math.inf)

    @property
    def holds(self) -> bool:
        """True while verdicts wait for the end of a common outage, or for the limit."""
        return self._is_limited or self._outage.in_progress

    def follow(self, samples: Iterable[RawSample], now: float, *, sessions: int, is_whole: bool) -> list[GuardVerdict]:
        """Take in a poll and return the sessions to end, longest stuck first.

        ``sessions`` is the number of all; ``is_whole`` says that ``samples`` has all of them, not only those with bytes
        queued or a closed side.
        """
        self._number += 1
        self._count = sessions
        self._urgent = {}
        since = now if self._polled_at is None else self._polled_at
        self._polled_at = now
        dead = [verdict for seen in samples if (verdict := self._look(seen, since, now)) is not None]
        if is_whole:
            self._sessions = {key: kept for key, kept in self._sessions.items() if kept.poll == self._number}
        self._outage.review(now)
        return self._permitted(dead, now, is_poll=True)

    def urgent(self, now: float) -> list[RawSample]:
        """Return the sessions that are due for another look before the next poll, as they were seen last."""
        return [urgent.seen for urgent in self._urgent.values() if urgent.due <= now]

    def follow_urgent(self, samples: Iterable[RawSample], now: float) -> list[GuardVerdict]:
        """Take in another reading of the sessions that were due, and return those to end."""
        self._urgent = {key: urgent for key, urgent in self._urgent.items() if urgent.due > now}
        dead = [verdict for seen in samples if (verdict := self._look(seen, now, now)) is not None]
        return self._permitted(dead, now, is_poll=False)

    def ended(self, verdict: GuardVerdict, now: float) -> None:
        """Count a session as ended. It is not judged again, unless its server keeps it open."""
        self._settle(verdict, "still open" if verdict.is_again else "ended")
        if not verdict.is_again:
            self._budget.spend(now)

    def reported(self, verdict: GuardVerdict) -> None:
        """Count a verdict as reported only. There is no other on this session until it has moved."""
        self._settle(verdict, "reported")

    def _settle(self, verdict: GuardVerdict, how: Literal["reported", "ended", "still open"]) -> None:
        if (session := self._sessions.get(verdict.seen.key)) is not None:
            session.settled = how

    def _look(self, seen: RawSample, since: float, now: float) -> GuardVerdict | None:
        info = seen.info
        if not info:  # one of the kernel's minisockets
            return None
        session = self._sessions.get(key := seen.key)
        if session is None:
            session = self._sessions[key] = _Session(self._rule(self._terms, since))
        elif session.poll < self._number - 1:
            session.rule.rest(since)
        session.poll = self._number
        reading, outq = Reading.of(info), seen.outq
        if (dialled := is_dialled(reading, outq)) is not None:
            session.is_dialled = dialled
        death = session.rule.look(reading, outq, now)
        if death is None:
            if session.settled == "reported":
                session.settled = ""
            if session.rule.due < now + self._terms.poll:
                self._urgent[key] = _Urgent(session.rule.due, seen)
            return None
        if session.is_dialled is not False or session.settled in {"reported", "still open"}:
            return None
        lasted = death.stall_s if death.tcp_state == "ESTABLISHED" else now - session.rule.since
        return GuardVerdict(seen, reading, death, lasted, session.settled == "ended")

    def _permitted(self, dead: Sequence[GuardVerdict], now: float, *, is_poll: bool) -> list[GuardVerdict]:
        """Return those verdicts that need not wait."""
        dead = [verdict for verdict in dead if not self._is_common(verdict, now)]
        dead.sort(key=lambda verdict: -verdict.lasted_s)
        again = [verdict for verdict in dead if verdict.is_again]
        fresh = [verdict for verdict in dead if not verdict.is_again]
        left = self._budget.left(self._count, now)
        waiting = len(fresh) - left
        if waiting > 0 and not self._is_limited:
            self._is_limited = True
            self._report(LimitReport("held", waiting, self._count, self._limit))
        elif waiting <= 0 and is_poll and self._is_limited:
            self._is_limited = False
            self._report(LimitReport("over", 0, self._count, self._limit))
        return again + fresh[:left]

    def _is_common(self, verdict: GuardVerdict, now: float) -> bool:
        """True if a session went dark together with most, and must wait for the end of that."""
        if verdict.death.tcp_state != "ESTABLISHED":
            return False
        session = self._sessions[verdict.seen.key]
        return self._outage.spares(session.rule.darkness, now)

    def _darkness(self) -> list[Darkness | None]:
        # Those that this poll did not bring have nothing queued any more.
        return [session.rule.darkness if session.poll == self._number else None for session in self._sessions.values()]

    def _report(self, report: BrakeReport) -> None:
        self.on_brake(report)
