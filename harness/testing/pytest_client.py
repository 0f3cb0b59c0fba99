"""One client of a test: the faults injected into it, and its session, judged as in a scenario."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from dataclasses import dataclass, field
from typing import Any

from halfopen.errors import FaultError, InputError
from halfopen.model.evidence import ENDED_STATES, Proof
from halfopen.model.expressions import Expression
from halfopen.model.link_spec import LinkSpec
from halfopen.netns.units import Size, show_duration, size
from halfopen.results import story, words
from halfopen.run.recorder import INTERVAL
from halfopen.run.session import Session
from halfopen.scenario.scenario_file import step_of
from halfopen.scenario.spec import TRUTHS, ClientSpec, Expect, Scenario, Step
from halfopen.testing.messages import Judgement, JudgeSession, SocketSeen
from halfopen.verdict.findings import find
from halfopen.verdict.judge import Timing, Verdict, judge

#: Seconds within which a client's process reports twice what it received.
_REPORTED_WITHIN = 1.0
#: Terms for grace and poll themselves, which cannot refer to each other.
_NONE = Timing(0.0, 0.0)


def seconds(name: str, text: object, terms: Timing = _NONE) -> float:
    """Return the length of a duration, as a scenario writes it, in seconds; raises InputError that names the option."""
    return terms.seconds(_expression(name, text))


def _expression(name: str, text: object) -> Expression:
    try:
        return Expression.parse(text)
    except ValueError as error:
        raise InputError(f"{name}: {error}") from None


def _size(name: str, text: object) -> Size:
    try:
        return size(text)
    except ValueError as error:
        raise InputError(f"{name}: {error}") from None


@dataclass
class PytestClient:
    """A client with its session."""

    number: int
    spec: ClientSpec
    link_spec: LinkSpec
    terms: Timing
    session: Session
    _steps: list[Step] = field(default_factory=list)
    _in_force: set[int] = field(default_factory=set)
    _judged_from: int = 0
    _last_action_at: float | None = None
    """A moment of the monotonic clock."""
    _verdicts: list[tuple[float, Verdict, str]] = field(default_factory=list)

    @property
    def _now(self) -> float:
        """Seconds since the session's start."""
        return time.monotonic() - self.session.journal.start

    def wait_until_it_streams(self, longest: float) -> None:
        """Wait until samples show the client's behaviour, and the server lists the client if it lists any.

        The effect of an earlier fault could not be told from the client's own behaviour. If neither is ever shown,
        later questions will prove nothing.
        """
        watch, until = self.session.watch, time.monotonic() + longest
        while not watch.until(min(until, time.monotonic() + INTERVAL)) and time.monotonic() < until:
            if self._streams() and watch.ask().get("listed") is not False:
                return

    def _streams(self) -> bool:
        seen = self.session.journal.timeline()
        seen = seen.facing_client() if self.session.server.edge else seen
        proof: Proof = self.spec.module.signature(seen.between(0.0, self._now))
        return proof.shown

    def begin(self, fault: str, options: dict[str, Any]) -> int:
        """Begin a fault and return the number of its step; raises InputError, FaultError, TimeoutError."""
        at = f"{max(0.0, self._now):.6f}s"
        step = step_of({**options, "at": at, "fault": fault}, f"client {self.number}: {fault}")
        number = len(self._steps)
        self._steps.append(step)
        if not self._in_force:
            self._judged_from = number
        if not self._in_force:
            self.session.check_path()
        self.session.note_timeouts()
        try:
            self.session.begin(step, number)
        except (FaultError, TimeoutError) as error:
            self.session.journal.note("lab", "trouble", what=str(error))
            raise
        self._in_force.add(number)
        self._last_action_at = time.monotonic()
        return number

    def undo(self, step: int) -> None:
        """Undo a fault, if it is still in force."""
        self._in_force.discard(step)
        # If the server no longer answers the undoing, the fault counts as over all the same.
        with contextlib.suppress(TimeoutError):
            self.session.undo(step)
        self._last_action_at = time.monotonic()

    @property
    def acted_at(self) -> float:
        """Moment of the last action on it, or of its session's start, on the monotonic clock."""
        return self.session.journal.start if self._last_action_at is None else self._last_action_at

    def judge(self, request: JudgeSession, any_acted_at: float) -> Judgement:
        """Observe until the session's outcome is clear, and judge it; raises InputError.

        ``any_acted_at`` is the moment of the last action on any client of its server.
        """
        if request.session == "reaped" and not self._steps:
            raise InputError(
                f"nothing is proved: nothing was done to client {self.number} for which it could be reaped; "
                "freeze, cut or kill it first"
            )
        journal = self.session.journal
        if request.longest_gap is None:
            scenario = self._scenario(request, self.acted_at)
            fault_at = find(journal.timeline(), scenario).fault_at or 0.0
            hold = self.terms.seconds(scenario.expect.hold)
            self.session.observe(scenario, self.terms, journal.start + fault_at + hold)
        else:
            scenario = self._observe_service(request, any_acted_at)
        if not self._in_force:
            self.session.check_path()
        self.session.watch.settle()
        self.session.note_unread_close()
        self.session.client_link.note_what_it_did()
        if request.session != "kept":
            self.session.note_holders()
        verdict = judge(scenario, journal.timeline(), self.terms)
        if request.longest_gap is not None and (silent := self._says_nothing(verdict)):
            verdict = dataclasses.replace(verdict, word="inconclusive", why=f"nothing is proved: {silent}")
        expected = words.expectation(scenario, self.terms, verdict.found)
        self._verdicts.append((self._now, verdict, expected))
        return Judgement(
            word=verdict.word,
            why=verdict.why,
            expected=expected,
            outcome=verdict.found.outcome,
            reason=verdict.found.reason,
            ended_at=verdict.found.ended_at,
            detection=verdict.detection,
            stuck_bytes=verdict.found.stuck_bytes,
        )

    def _observe_service(self, request: JudgeSession, any_acted_at: float) -> Scenario:
        """Observe until ``request`` is certain, and return the faults so far as the scenario they amount to."""
        longest = seconds("longest_gap", request.longest_gap, self.terms)
        scenario = self._scenario(request, any_acted_at)
        wanted = any_acted_at + seconds("for_", request.duration, self.terms)
        until = max(wanted, time.monotonic() + longest + _REPORTED_WITHIN)
        watch, journal = self.session.watch, self.session.journal
        while time.monotonic() < until and not watch.until(min(until, time.monotonic() + _REPORTED_WITHIN)):
            gap = find(journal.timeline(), scenario).gap
            if gap is not None and gap.seconds > longest:
                break
        # Nothing more is wanted than was observed.
        return self._scenario(request, time.monotonic() - seconds("for_", request.duration, self.terms))

    def _says_nothing(self, verdict: Verdict) -> str | None:
        """Return a doubt about a client that cannot report what it receives; None without doubt."""
        report = self.session.journal.find_last("client", "progress")
        silent = self._now if report is None else time.monotonic() - report.t
        if verdict.found.outcome != "kept" or silent <= 2 * _REPORTED_WITHIN:
            return None
        lasted = show_duration(round(silent, 1))
        return f"the client's process reported nothing for {lasted}, and cannot tell if it is served"

    def _scenario(self, request: JudgeSession, since: float) -> Scenario:
        """Return the faults so far as the scenario they amount to. A session is kept from ``since`` on."""
        within = None if request.session == "kept" else _expression("within", request.duration)
        longest = None if request.longest_gap is None else _expression("longest_gap", request.longest_gap)
        least = None if request.received_at_least is None else _size("received_at_least", request.received_at_least)
        return Scenario(
            name="test",
            suite="pytest",
            called="test",
            title="",
            story="",
            truth=TRUTHS[request.session],
            client=self.spec,
            link=self.link_spec,
            edge=self.session.server.edge,
            steps=tuple(self._steps),
            judged_from=self._judged_from,
            served_from=self.acted_at - self.session.journal.start,
            expect=Expect(
                session=request.session,
                within=within,
                since=request.since,
                reason=request.reason,
                hold=within or self._hold(since + seconds("for_", request.duration, self.terms)),
                longest_gap=longest,
                received_at_least=least,
                # The server's other clients come and go.
                files_left=None,
                threads_left=None,
            ),
        )

    def _hold(self, until: float) -> Expression:
        """Return the time to keep a session: from the judged fault to ``until`` (monotonic clock)."""
        judged = self._steps[self._judged_from :]
        since = judged[0].at.seconds(grace=0, poll=0) if judged else 0.0
        return Expression(f"{max(0.0, until - self.session.journal.start - since):.6f}s")

    def read_socket(self) -> SocketSeen:
        """Return the kernel's current view of the session."""
        last = self.session.journal.last_sample()
        if last is None:
            return SocketSeen("CLOSE", 0, 0)
        gone = self.session.journal.has_released
        return SocketSeen(
            state="CLOSE" if gone and last.state not in ENDED_STATES else last.state,
            queued=last.outq,
            acknowledged=0 if last.info is None else last.info.bytes_acked or 0,
        )

    def history(self) -> list[str]:
        """Return the history as readable lines."""
        head = f"client {self.number} ({self.spec.behaviour}) {words.arrow(str(self.link_spec))} server"
        return [head, *story.history(self.session.journal.timeline(), self._verdicts)]
