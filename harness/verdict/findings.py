"""Derive from a timeline what became of a session. Pure; halfopen.verdict.judge decides if that is right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from halfopen.model import evidence
from halfopen.model.evidence import ENDED_STATES, Gap, Stall
from halfopen.model.timeline import Sample, Timeline
from halfopen.scenario.spec import Outcome, Scenario

#: Close code of a server that met an unexpected condition (RFC 6455, section 7.4.1).
UNEXPECTED_CONDITION = 1011
#: Close code for a message that violates the server's policy (RFC 6455, section 7.4.1).
POLICY_VIOLATION = 1008
#: Close code for an extension that the other side should have offered (RFC 6455, section 7.4.1).
MANDATORY_EXTENSION = 1010


@dataclass(frozen=True, slots=True)
class Span:
    """A fault in force; times in seconds since the scenario's start."""

    step: int
    begun: float
    until: float
    is_over: bool = True
    """True if it was undone before the run was over."""


@dataclass(frozen=True, slots=True)
class Orphan:
    """Bytes that the kernel still held of the session after the server's application let go of it."""

    bytes: int
    seconds: float
    """Seconds for which they were seen."""


@dataclass(frozen=True, slots=True)
class HeldResources:
    """Resources of the server's processes, against their level before the session."""

    memory: int
    """The level of resident memory, bytes."""
    memory_growth: int
    """Most bytes of resident memory above the level."""
    files_left: int
    """Open files above the level at the end."""
    threads_left: int
    """Threads above the level at the end."""
    processes_changed: bool
    """True if the number of processes is another at the end than before."""


@dataclass(frozen=True, slots=True)
class Findings:
    """Facts about one run, derived from its timeline. Times in seconds since the scenario's start."""

    outcome: Outcome
    ended_at: float | None
    """End of the server's side of the connection; None if it never ended."""
    first_sample: float | None
    """First sample of the server's socket; None if it was never seen."""
    looked_until: float
    spans: tuple[Span, ...]
    stall: Stall | None
    """The stall in which the session was lost; None unless the client was to die."""
    longest_stall: Stall | None
    """The longest stall since the first fault; None unless the client was to die."""
    orphan: Orphan
    still_held: bool
    """True if the server's processes still held the socket at the last sample."""
    reason: str | None
    """Reason that the target gave for the end, if any."""
    first_listed: float | None
    """Time at which the target's own list first showed the session."""
    keeps_list: bool
    final: dict[str, Any]
    """The target's last status (halfopen.targets.base.Status)."""
    judged_from: int = 0
    """Copied from the scenario."""
    held: HeldResources | None = None
    """None if the server's processes were not sampled."""
    opened_at: float = 0.0
    """Moment at which the session was open; of a client besides the subject, any."""
    asked_at: float | None = None
    """Moment of the client's connection attempt; None if it is not known."""
    served_at: float | None = None
    """Moment of the first data; None if none came."""
    gap: Gap | None = None
    """The longest time without received data while the session was open; None if it is not known."""
    received: int = 0
    """Bytes of messages that the client received."""

    @property
    def fault_at(self) -> float | None:
        """Start of the first fault that is judged."""
        return next((span.begun for span in self.spans if span.step >= self.judged_from), None)

    @property
    def was(self) -> bool:
        """True if there ever was a session."""
        return self.first_sample is not None or self.ended_at is not None or self.outcome == "refused"

    @property
    def served_after(self) -> float | None:
        """Seconds from the connection attempt to the first data; None if either is missing."""
        return None if self.asked_at is None or self.served_at is None else self.served_at - self.asked_at

    @property
    def stuck_bytes(self) -> int:
        """Most bytes seen queued in the server's socket after the onset."""
        return max((s.outq for s in self.stall.samples), default=0) if self.stall else 0

    @property
    def is_disowned(self) -> bool:
        """True if the target's own list showed the session once and no more, though its socket is open."""
        return self.ended_at is None and self.first_listed is not None and self.final.get("listed") is False

    @property
    def before_fault(self) -> bool:
        """True if the session ended before anything was done to the client."""
        return self.ended_at is not None and (self.fault_at is None or self.ended_at < self.fault_at)


def find(timeline: Timeline, scenario: Scenario) -> Findings:
    """Read a timeline that begins when the session is open (t = 0)."""
    ended_at = _ended_at(timeline)
    moments = [*(s.t for s in timeline.samples), *(e.t for e in timeline.events if e.kind != "target")]
    looked_until = max(moments, default=0.0)
    spans = _spans(timeline, looked_until if ended_at is None else ended_at)
    judged = tuple(span for span in spans if span.step >= scenario.judged_from)
    lost = _stalls(timeline, judged, ended_at) if scenario.truth == "dead" else []
    statuses = list(timeline.of("registry", "status"))
    listed = [e.t for e in statuses if e.data.get("listed")]
    opened, asked, served = (timeline.first("client", name) for name in ("opened", "connecting", "first_data"))
    is_refused = (scenario.is_other or scenario.expect.session == "refused") and was_refused(timeline)
    return Findings(
        outcome="refused" if is_refused else _outcome(timeline, scenario, judged, ended_at),
        ended_at=ended_at,
        first_sample=timeline.samples[0].t if timeline.samples else None,
        looked_until=looked_until,
        spans=spans,
        stall=next((stall for stall in lost[-1:] if stall.goes_on), None),
        longest_stall=max(lost, key=lambda stall: stall.seconds, default=None),
        orphan=_orphan(timeline, ended_at),
        still_held=_still_held(timeline, ended_at),
        reason=_reason(timeline),
        first_listed=listed[0] if listed else None,
        keeps_list=any("listed" in e.data for e in statuses),
        final=statuses[-1].data if statuses else {},
        judged_from=scenario.judged_from,
        held=_held(timeline, _level_at(scenario, spans)),
        opened_at=opened.t if opened and scenario.is_other else 0.0,
        asked_at=asked.t if asked else None,
        served_at=served.t if served else None,
        gap=evidence.longest_gap(timeline, looked_until if ended_at is None else ended_at, scenario.served_from),
        received=max((e.data.get("received") or 0 for e in timeline.of("client", "progress", "ended")), default=0),
    )


def _ended_at(timeline: Timeline) -> float | None:
    """Return the end of the server's side of the session: of its socket, or of the WebSocket session on it."""
    left = next((s.t for s in timeline.samples if s.state in ENDED_STATES), None)
    gone = timeline.first("kernel", "destroyed", "gone")
    told = timeline.first("client", "close_received")
    moments = [event.t for event in (gone, told) if event is not None]
    if not moments and not timeline.samples and (felt := timeline.first("client", "ended")):
        return felt.t  # reset before its socket was seen: only the client noticed
    return min(moments if left is None else [*moments, left], default=None)


def was_refused(timeline: Timeline) -> bool:
    """True if the server denied the session: in its answer to the handshake, or in a close frame before any data."""
    if timeline.first("client", "refused") is not None:
        return True
    closed, served = timeline.first("client", "close_received"), timeline.first("client", "first_data")
    fault = timeline.first("fault", "begun")
    if closed is None or closed.data.get("code") == UNEXPECTED_CONDITION or (served and served.t < closed.t):
        return False
    return fault is None or closed.t < fault.t


def _outcome(timeline: Timeline, scenario: Scenario, spans: tuple[Span, ...], ended_at: float | None) -> Outcome:
    if ended_at is None:
        return "kept"
    closing = timeline.first("client", "closing")
    if closing is not None and closing.t <= ended_at:
        return "closed"
    return "closed" if scenario.truth == "ended" and _said_goodbye(timeline, scenario, spans, ended_at) else "reaped"


def _said_goodbye(timeline: Timeline, scenario: Scenario, spans: tuple[Span, ...], ended_at: float) -> bool:
    """True if the server closed as the protocol wants it, in a scenario in which the session ends by itself.

    Code 1011 is a reap: libraries use it to end clients whose pong they miss. A close before the fault that was to end
    the session is not the expected end.
    """
    told = timeline.first("client", "close_received")
    if told is None or told.data.get("code") == UNEXPECTED_CONDITION:
        return False
    return ended_at >= spans[0].begun if spans else not scenario.steps


def _still_held(timeline: Timeline, ended_at: float | None) -> bool:
    """True if the server ended its side but was still seen to hold the socket at the very end."""
    if ended_at is None or timeline.first("kernel", "destroyed", "gone"):
        return False
    last = timeline.samples[-1] if timeline.samples else None
    return last is not None and last.t > ended_at and not last.orphan


def _spans(timeline: Timeline, end: float) -> tuple[Span, ...]:
    undone = {e.data["step"]: e.t for e in timeline.of("fault", "undone")}
    return tuple(
        Span(e.data["step"], e.t, min(end, undone.get(e.data["step"], end)), e.data["step"] in undone)
        for e in timeline.of("fault", "begun")
    )


def _stalls(timeline: Timeline, spans: tuple[Span, ...], ended_at: float | None) -> list[Stall]:
    """Return the stalls that lasted into the first fault or came after it, in order."""
    if not spans:
        return []
    samples = evidence.established(timeline)
    open_still = samples if ended_at is None else tuple(s for s in samples if s.t <= ended_at)
    return [stall for stall in evidence.stalls(open_still) if stall.until > spans[0].begun]


def _level_at(scenario: Scenario, spans: tuple[Span, ...]) -> float | None:
    """Return when the server's processes held what they hold without the session; None if that is not known.

    A server that has other clients holds more than before the first of them. There it is the level before the fault.
    """
    if scenario.is_other:
        return None
    if not scenario.has_company:
        return 0.0
    return spans[0].begun if spans else None


def _held(timeline: Timeline, level_at: float | None) -> HeldResources | None:
    """Compare what the server's processes hold with their level at ``level_at``."""
    samples = timeline.processes
    if not samples or level_at is None:
        return None
    level, last = next((s for s in reversed(samples) if s.t <= level_at), samples[0]), samples[-1]
    return HeldResources(
        memory=level.rss,
        memory_growth=max(s.rss for s in samples) - level.rss,
        files_left=last.files - level.files,
        threads_left=last.threads - level.threads,
        processes_changed=last.processes != level.processes,
    )


def _orphan(timeline: Timeline, ended_at: float | None) -> Orphan:
    if ended_at is None:
        return Orphan(0, 0.0)
    left: list[Sample] = [s for s in timeline.samples if s.t >= ended_at and s.orphan and s.outq]
    return Orphan(max((s.outq for s in left), default=0), left[-1].t - ended_at if left else 0.0)


def _reason(timeline: Timeline) -> str | None:
    """Return the reason that the target gave for the end of this client's session."""
    caller = timeline.first("lab", "caller")
    own = caller.data["id"] if caller else None
    # The server's events are those of all its clients. Only the pod names them.
    said = next(
        (
            event
            for name in ("dead_client_reaped", "session_closed")
            for event in timeline.of("target", name)
            if own is None or event.data.get("client", own) == own
        ),
        None,
    )
    return said.data.get("reason") if said else None
