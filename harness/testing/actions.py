"""One client of a test: the faults injected into it, and its session, judged as in a scenario."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from halfopen.errors import FaultError, InputError
from halfopen.faults._scene import Scene
from halfopen.model.evidence import ENDED_STATES, Proof
from halfopen.model.expressions import Expression
from halfopen.model.journal import Journal
from halfopen.model.link_spec import LinkSpec
from halfopen.results import story, words
from halfopen.run import fault_steps
from halfopen.run.client_link import ClientLink
from halfopen.run.observer import Observer
from halfopen.run.recorder import INTERVAL
from halfopen.scenario.spec import ClientSpec, Edge, Expect, Outcome, Scenario, Step, Truth, step_of
from halfopen.testing.durations import expression, seconds
from halfopen.testing.messages import Answer, Question, SocketSeen
from halfopen.verdict.findings import find
from halfopen.verdict.judge import Timing, Verdict, judge

#: The truth about a client that makes each outcome right.
_TRUTHS: dict[Outcome, Truth] = {"reaped": "dead", "kept": "alive", "closed": "ended"}
#: Common defaults of scenarios (halfopen.scenario.spec.Expect and the shipped ones).
_WITHIN, _HOLD = "grace + poll + 1s", "2.6 * grace"


@dataclass
class Party:
    """A client with its session. Use it as a context manager: leaving it undoes the faults in force."""

    test: str
    number: int
    spec: ClientSpec
    link_spec: LinkSpec
    edge: Edge | None
    terms: Timing
    journal: Journal
    watch: Observer
    link: ClientLink
    scene: Scene
    _steps: list[Step] = field(default_factory=list)
    _in_force: dict[int, contextlib.ExitStack] = field(default_factory=dict)
    _judged_from: int = 0
    _last_deed: float | None = None
    """A moment of the monotonic clock."""
    _verdicts: list[tuple[float, Verdict, str]] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        for step in sorted(self._in_force, reverse=True):
            self.undo(step)

    def until_it_streams(self, longest: float) -> None:
        """Wait until samples show the client's behaviour, and the server lists the client if it lists any.

        The effect of an earlier fault could not be told from the client's own behaviour. If neither is ever shown,
        later questions will prove nothing.
        """
        until = time.monotonic() + longest
        while not self.watch.until(min(until, time.monotonic() + INTERVAL)) and time.monotonic() < until:
            if self._streams() and self.watch.ask().get("listed") is not False:
                return

    def _streams(self) -> bool:
        seen = self.journal.timeline()
        seen = seen.facing_client() if self.edge else seen
        proof: Proof = self.spec.module.signature(seen.between(0.0, time.monotonic() - self.journal.start))
        return proof.shown

    def begin(self, fault: str, options: dict[str, Any]) -> int:
        """Begin a fault and return the number of its step; raises InputError, FaultError, TimeoutError."""
        now = time.monotonic()
        at = f"{max(0.0, now - self.journal.start):.6f}s"
        step = step_of({**options, "at": at, "fault": fault}, f"client {self.number}: {fault}")
        number = len(self._steps)
        self._steps.append(step)
        if not self._in_force:
            self._judged_from = number
        try:
            undo = fault_steps.begin(step, number, self.scene, self.journal)
        except (FaultError, TimeoutError) as error:
            self.journal.note("lab", "trouble", what=str(error))
            raise
        self._in_force[number] = undo
        self._last_deed = time.monotonic()
        return number

    def undo(self, step: int) -> None:
        """Undo a fault, if it is still in force."""
        undo = self._in_force.pop(step, None)
        # If the server no longer answers the undoing, the fault counts as over all the same.
        with contextlib.suppress(TimeoutError):
            if undo is not None:
                undo.close()
        self._last_deed = time.monotonic()

    def ask(self, asked: Question) -> Answer:
        """Observe until the session's outcome is clear, and judge it; raises InputError."""
        if asked.session == "reaped" and not self._steps:
            raise InputError(
                f"nothing is proved: nothing was done to client {self.number} for which it could be reaped; "
                "freeze, cut or kill it first"
            )
        scenario = self._scenario(asked)
        self._look_on(scenario)
        self.watch.settle()
        self.link.note_what_it_did()
        verdict = judge(scenario, self.journal.timeline(), self.terms)
        found = verdict.found
        expected = words.expectation(scenario, self.terms)
        self._verdicts.append((time.monotonic() - self.journal.start, verdict, expected))
        return Answer(
            word=verdict.word,
            why=verdict.why,
            expected=expected,
            outcome=found.outcome,
            reason=found.reason,
            ended_at=found.ended_at,
            detection=verdict.detection,
            stuck_bytes=found.stuck_bytes,
            seen=self.look(),
        )

    def _scenario(self, asked: Question) -> Scenario:
        """Return the faults so far as the scenario they amount to."""
        within = None if asked.session == "kept" else expression("within", asked.within or _WITHIN)
        return Scenario(
            name=self.test,
            suite="pytest",
            called=self.test,
            title=self.test,
            story="",
            truth=_TRUTHS[asked.session],
            client=self.spec,
            link=self.link_spec,
            edge=self.edge,
            steps=tuple(self._steps),
            judged_from=self._judged_from,
            expect=Expect(
                session=asked.session,
                within=within,
                since=asked.since,
                reason=asked.reason,
                hold=within or self._hold(seconds("for_", asked.hold or _HOLD, self.terms)),
            ),
        )

    def _hold(self, wanted: float) -> Expression:
        """Return the time to keep a session: from the judged fault to the last action, plus ``wanted`` seconds."""
        judged = self._steps[self._judged_from :]
        since = judged[0].at.seconds(grace=0, poll=0) if judged else 0.0
        begun = 0.0 if self._last_deed is None else self._last_deed - self.journal.start
        return Expression(f"{begun - since + wanted:.6f}s")

    def _look_on(self, scenario: Scenario) -> None:
        start = self.journal.start
        fault_at = find(self.journal.timeline(), scenario).fault_at or 0.0
        until = start + fault_at + scenario.seconds(scenario.expect.hold, self.terms.grace, self.terms.poll)
        fault_steps.look_on(self.watch, self.journal, scenario, self.terms, until)

    def look(self) -> SocketSeen:
        """Return the kernel's current view of the session."""
        last = self.journal.last_sample()
        if last is None:
            return SocketSeen("CLOSE", 0, 0, None)
        gone = self.journal.find("kernel", "destroyed", "gone") is not None
        info = last.info
        return SocketSeen(
            state="CLOSE" if gone and last.state not in ENDED_STATES else last.state,
            queued=last.outq,
            acknowledged=0 if info is None or info.bytes_acked is None else info.bytes_acked,
            window=None if info is None else info.snd_wnd,
        )

    def tell(self) -> list[str]:
        """Return the history as readable lines."""
        head = f"client {self.number} ({self.spec.behaviour}) {words.arrow(str(self.link_spec))} server"
        return [head, *story.history(self.journal.timeline(), self._verdicts)]
