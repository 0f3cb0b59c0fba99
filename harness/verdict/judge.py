"""Decide if the outcome of a session is right. Pure: a timeline and an expectation in, a verdict out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from halfopen.model import evidence, refusals
from halfopen.model.evidence import Proof
from halfopen.model.expressions import Expression
from halfopen.model.link_proof import link_proofs
from halfopen.model.timeline import Event, Timeline
from halfopen.netns.units import show_bytes, show_duration
from halfopen.scenario.spec import Scenario
from halfopen.verdict import ends, resources, service
from halfopen.verdict.findings import MANDATORY_EXTENSION, UNEXPECTED_CONDITION, Findings, find

Word = Literal["passed", "failed", "inconclusive", "not_applicable"]
Class = Literal["true_reap", "missed", "false_reap", "true_keep", "closed", "refused", "not_opened"]

#: Most seconds from the last sample to the end of the hold.
_SAMPLING = 1.0
#: Seconds by which a process's last output may be read after its end.
_WORDS_AFTER = 0.5
#: Seconds from the handshake within which a server denies a session to a client.
_SOON = 15.0
#: Close codes that blame nothing on the client: a normal end, or a server that goes away (RFC 6455, section 7.4.1).
_ORDINARY = frozenset({None, 1000, 1001})


@dataclass(frozen=True, slots=True)
class Timing:
    """The detector's settings, in seconds, that a scenario's durations refer to."""

    grace: float
    poll: float
    hold: float | None = None
    """Seconds to observe for, in place of the scenario's."""
    least: float = 0.0
    """Seconds to observe for at least, whatever the scenario says."""

    def seconds(self, duration: Expression) -> float:
        """Return a scenario's duration in seconds."""
        return duration.seconds(grace=self.grace, poll=self.poll)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a run against its scenario's expectation."""

    word: Word
    why: str
    """One sentence with the evidence."""
    klass: Class | None
    """None if the scenario does not apply to the server."""
    found: Findings

    @property
    def detection(self) -> float | None:
        """Seconds from the onset of the stall to the reap; None if either is missing."""
        found = self.found
        if self.klass is None or found.outcome != "reaped" or found.stall is None or found.ended_at is None:
            return None
        return found.ended_at - found.stall.onset

    @property
    def after_fault(self) -> float | None:
        """Seconds from the first fault to the reap; None if either is missing."""
        found = self.found
        if self.klass is None or found.outcome != "reaped" or found.before_fault:
            return None
        if found.fault_at is None or found.ended_at is None:
            return None
        return found.ended_at - found.fault_at


def judge(scenario: Scenario, timeline: Timeline, terms: Timing) -> Verdict:
    """Judge one run, from a timeline that begins when the session is open (t = 0)."""
    found = find(timeline, scenario)
    klass = classify(scenario, found)
    word, why = _decide(scenario, timeline, terms, found, klass)
    return Verdict(word, why, klass, found)


def classify(scenario: Scenario, found: Findings) -> Class:
    """Return the cell of the table: what the server did to a client that is in truth dead, alive, or leaving."""
    if not found.was:
        return "not_opened"
    if found.outcome == "closed":
        return "closed"
    if found.outcome == "refused":
        return "refused"
    if found.outcome == "kept":
        return "true_keep" if scenario.truth == "alive" else "missed"
    return "true_reap" if scenario.truth == "dead" and not found.before_fault else "false_reap"


def _decide(scenario: Scenario, timeline: Timeline, terms: Timing, found: Findings, klass: Class) -> tuple[Word, str]:
    if found.outcome == "refused" and timeline.first("target", "exited") is None:
        is_right, why = service.refusal(scenario, timeline)
        return "passed" if is_right else "failed", why
    if broken := broken_off(timeline) or _crash(timeline, found) or _was_admitted(scenario, found):
        return broken
    if klass == "false_reap":
        return _false_reap(scenario, timeline, found)
    if not evidence.established(timeline):
        return "inconclusive", "the server's socket was never seen open"
    proof = _proof(scenario, timeline, found, terms)
    short = _looked_too_short(scenario, found, terms) if found.outcome == "kept" else None
    if not proof.shown or short:
        return "inconclusive", f"nothing is proved: {short if proof.shown else proof.what}"
    if found.keeps_list and found.first_listed is None and not _received(timeline):
        ask = "does it want to be asked first (--send)?"
        return "inconclusive", f"the server sent nothing, and its list never showed the session; {ask}"
    closed = ends.close_frame(timeline)
    if klass == "true_reap" and closed is not None and ends.denies(closed) and not scenario.gives_way:
        return "inconclusive", f"nothing is proved: {ends.closing(closed)}, which denies the session to any client"
    complaint = _complaint(scenario, timeline, terms, found)
    if complaint:
        return "failed", complaint
    return "passed", "; ".join(filter(None, (_success(scenario, found, proof), resources.cost(found))))


def _complaint(scenario: Scenario, timeline: Timeline, terms: Timing, found: Findings) -> str | None:
    """Return the first thing in which the session was not as expected; None if all was."""
    return (
        _wrong_outcome(scenario, found)
        or _too_late(scenario, found, terms)
        or _wrong_reason(scenario, found)
        or service.wrong_close(scenario, timeline)
        or _half_closed(found)
        or _wrong_books(found)
        or resources.kept_resources(scenario, found)
        or service.unserved(scenario, found, terms.seconds)
        or service.wrong_number(scenario, found)
    )


def broken_off(timeline: Timeline) -> tuple[Word, str] | None:
    """Return why the run could not be completed, by the server's doing or not; None if it was."""
    if trouble := timeline.first("lab", "trouble"):
        return "inconclusive", str(trouble.data["what"])
    if exited := timeline.first("target", "exited"):
        ended = f"the server ended by itself with exit code {exited.data['code']} at {exited.t:.1f}s"
        return "failed", ended + _last_words(timeline, exited.t)
    if obstacle := refusals.obstacle(timeline):
        return "failed" if obstacle.shown else "inconclusive", obstacle.what
    if broken := timeline.first("client", "protocol_error"):
        return "failed", f"the server broke the WebSocket protocol at {broken.t:.1f}s: {broken.data['why']}"
    return None


def _crash(timeline: Timeline, found: Findings) -> tuple[Word, str] | None:
    """Return the end of the process that served the session, if the session ended by it; None otherwise."""
    ended = ends.fatal(timeline, found)
    if ended is None:
        return None
    why = f"the process that served the session (pid {ended.data['pid']}) ended at {ended.t:.1f}s"
    return "failed", why + _last_words(timeline, ended.t)


def _was_admitted(scenario: Scenario, found: Findings) -> tuple[Word, str] | None:
    if scenario.expect.session != "refused":
        return None
    return "failed", f"admitted at {found.opened_at:.1f}s and {found.outcome}, expected it refused"


def hold(scenario: Scenario, terms: Timing) -> float:
    """Return the seconds to observe for, from the first fault or, without one, from the start."""
    if terms.hold is not None:
        return terms.hold
    return max(terms.least, terms.seconds(scenario.expect.hold))


def _looked_too_short(scenario: Scenario, found: Findings, terms: Timing) -> str | None:
    since = found.fault_at or found.opened_at
    until = since + hold(scenario, terms)
    if (moment := due(scenario, found, terms)) is not None:
        since, until = counted_from(scenario, found)[0], moment
    if found.looked_until >= until - _SAMPLING:
        return None
    return f"looked for {show_duration(found.looked_until - since)} only, of {show_duration(until - since)}"


def _proof(scenario: Scenario, timeline: Timeline, found: Findings, terms: Timing) -> Proof:
    """Return the proof by the client until the first fault, by each fault while in force, and by the target.

    A client's behaviour shows at the end of its link. That is the proxy, if one stands in front of the server.
    """
    shown = timeline.facing_client() if scenario.edge else timeline
    over = found.looked_until if found.ended_at is None else found.ended_at
    until = min(over, found.spans[0].begun) if found.spans else over
    proofs = [scenario.client.module.signature(shown.between(0.0, until))]
    begun = {span.step: span for span in found.spans}
    for number, step in enumerate(scenario.steps):
        if number not in begun and _is_dead(scenario, found):
            break  # the server was right not to wait for it
        if number not in begun:
            when = "the session ended" if found.ended_at is not None else "the hold was over"
            proofs.append(Proof(False, f"{when} before the fault {step.fault!r} was due"))
            continue
        span = begun[number]
        # Past the end of the session, since some faults' signatures cover how it ended.
        last = span.until if found.ended_at is None or span.until < found.ended_at else found.looked_until
        # A later fault changes what the kernel shows of this one.
        later = [other.begun for other in found.spans if other.begun > span.begun + _SAMPLING]
        last = min([last, *later])
        proofs.append(step.module.signature(shown.between(span.begun, last)))
        if step.lasting is not None and not span.is_over and found.ended_at is None:
            lasts = show_duration(terms.seconds(step.lasting))
            proofs.append(Proof(False, f"the hold was over before the fault {step.fault!r}, which lasts {lasts}"))
    return evidence.all_of(*proofs, *link_proofs(scenario.link, timeline), *_drops(scenario, timeline))


def _is_dead(scenario: Scenario, found: Findings) -> bool:
    """True if a fault that leaves a client dead had begun when the server ended its session."""
    if scenario.truth != "dead" or found.ended_at is None or found.before_fault:
        return False
    return any(getattr(scenario.steps[span.step].module, "KILLS", False) for span in found.spans)


def _last_words(timeline: Timeline, t: float) -> str:
    """Return the server's last line of output up to ``t``, as the end of a sentence."""
    lines = [
        str(event.data["text"]).strip() for event in timeline.of("target", "output") if event.t <= t + _WORDS_AFTER
    ]
    last = next((line for line in reversed(lines) if line), None)
    return "" if last is None else f"; it said: {last}"


def _drops(scenario: Scenario, timeline: Timeline) -> list[Proof]:
    reports = [e.data["drops"] for e in timeline.of("target", "slices_dropped", "session_closed")]
    reports += [s["drops"] for e in timeline.of("registry", "status") for s in _counting(e.data)]
    if not reports:  # a target that counts no drops cannot show any
        return []
    most = {reason: max(drops.get(reason, 0) for drops in reports) for reason in scenario.signature.drops}
    return [
        Proof(count > 0, f"{count} slices shed ({reason})" if count else f"no slice was shed for {reason!r}")
        for reason, count in most.items()
    ]


def _counting(status: dict[str, object]) -> list[dict[str, dict[str, int]]]:
    """Return the sessions of a status that count drops, as the pod's do. Other servers' lists may hold anything."""
    sessions = status.get("sessions")
    if not isinstance(sessions, list):
        return []
    return [s for s in sessions if isinstance(s, dict) and isinstance(s.get("drops"), dict)]


def _false_reap(scenario: Scenario, timeline: Timeline, found: Findings) -> tuple[Word, str]:
    """Blame the server, if its client did what the server asks of its clients."""
    assert found.ended_at is not None
    closed = timeline.first("client", "close_received")
    # A fault that is in force may be what silences the client, or the server.
    doubts = doubt(timeline, found) if not found.spans else _unheard(timeline, found, closed)
    if doubts is not None:
        return "inconclusive", doubts
    count = show_bytes(evidence.acknowledged(evidence.established(timeline)))
    said = f" ({found.reason})" if found.reason else ""
    how = f", {ends.closing(closed)}" if closed is not None else ""
    before = ", before anything was done to it" if scenario.steps and found.before_fault else ""
    reaped = f"a live client was reaped at {found.ended_at:.1f}s{said}{how}{before}"
    return "failed", f"{reaped}: it had acknowledged {count} until then"


def doubt(timeline: Timeline, found: Findings) -> str | None:
    """Return why a server may have been right to end a session that nothing disturbed; None without doubt."""
    if found.ended_at is None:
        return None
    closed = timeline.first("client", "close_received")
    if closed is None:
        return _not_spoken(timeline, found.ended_at)
    return _not_begun(timeline, closed) or _unheard(timeline, found, closed)


def _unheard(timeline: Timeline, found: Findings, closed: Event | None) -> str | None:
    """Return a doubt about a server that closed for want of a heartbeat that no ping asked for; None without doubt."""
    if closed is None or closed.data.get("code") == UNEXPECTED_CONDITION or not ends.misses_heartbeat(closed):
        return None
    return None if has_spoken(timeline, found) else silence(closed)


def silence(closed: Event) -> str:
    """Return the doubt about a server that closed a session whose client said nothing."""
    return (
        f"the session was {ends.closing(closed)} at {closed.t:.1f}s, and its client had said nothing since the "
        "handshake; does the server want a heartbeat (replies, --send)?"
    )


def has_spoken(timeline: Timeline, found: Findings) -> bool:
    """True if the client sent a message, or got a ping to answer, before the server ended its session."""
    seen = ends.SessionEnd(timeline, found)
    pinged = timeline.first("client", "ping_received") is not None
    return (
        pinged or seen.has_heard_messages or bool(evidence.last_change((s.t, s.bytes_received) for s in seen.samples))
    )


def _not_begun(timeline: Timeline, closed: Event) -> str | None:
    """Return a doubt about a server that closed properly before it sent its client anything; None without doubt."""
    code = closed.data.get("code")
    says_why = bool(closed.data.get("reason")) or code not in _ORDINARY
    has_begun = _received(timeline) or timeline.first("client", "ping_received") is not None
    is_denial = ends.denies(closed) and closed.t <= _SOON
    if (has_begun and not is_denial) or code == UNEXPECTED_CONDITION or not says_why:
        return None
    asks = "an extension (compression = true in [client])" if code == MANDATORY_EXTENSION else "a message (--send)"
    nothing = "" if has_begun else "the server sent nothing, and "
    was = f"{nothing}the session was {ends.closing(closed)} at {closed.t:.1f}s"
    return f"{was}; does it want {asks}, a --header or a --subprotocol?"


def _received(timeline: Timeline) -> bool:
    """True if the client received any part of a message."""
    return any(event.data["received"] for event in timeline.of("client", "progress"))


def _not_spoken(timeline: Timeline, ended_at: float) -> str | None:
    """Return a doubt about a server that wants its clients to speak, and whose client did not; None without doubt.

    The lab's client acknowledges what it receives. A server that sends nothing for long hears nothing from it, though a
    real client may send a heartbeat by itself.
    """
    opened = timeline.first("client", "opened")
    if opened is None or not opened.data.get("acknowledging"):
        return None
    reports = [event for event in timeline.of("client", "progress") if event.t <= ended_at]
    if not reports or not reports[-1].data["acknowledged"]:
        return None
    spoke_at = evidence.last_change((s.t, s.bytes_received) for s in evidence.established(timeline))
    silence = ended_at - (spoke_at or 0.0)
    if silence < evidence.allowed_silence(ended_at):
        return None
    return (
        f"the server ended the session at {ended_at:.1f}s, {show_duration(silence)} after its client last spoke; "
        "the client acknowledges data only, and the server may want a heartbeat"
    )


def _wrong_outcome(scenario: Scenario, found: Findings) -> str | None:
    expected = scenario.expect.session
    if found.outcome == expected:
        return None
    if found.outcome == "kept":
        since = found.fault_at or found.opened_at
        event = f"{scenario.steps[scenario.judged_from].fault} began" if scenario.steps else "start"
        held = f"session still held {show_duration(found.looked_until - since)} after the {event}"
        held += ", though the server's own list no longer shows it" if found.is_disowned else ""
        if found.stall is None:
            return f"{held}, expected it {expected}"
        outq = show_bytes(found.stall.samples[-1].outq)
        return f"{held}: {outq} queued, nothing acknowledged since {found.stall.onset:.1f}s"
    said = f" ({found.reason})" if found.reason else ""
    return f"session {found.outcome} at {found.ended_at:.1f}s{said}, expected it {expected}"


def deadline(scenario: Scenario, terms: Timing) -> float | None:
    """Return the most seconds that the session may take to end; None if the scenario sets no limit."""
    within = scenario.expect.within
    return None if within is None else terms.seconds(within)


def due(scenario: Scenario, found: Findings, terms: Timing) -> float | None:
    """Return when the session must have ended, in seconds since the scenario's start; None if no reap is due."""
    limit = deadline(scenario, terms)
    if limit is None or scenario.expect.session != "reaped":
        return None
    return counted_from(scenario, found)[0] + limit


def counted_from(scenario: Scenario, found: Findings) -> tuple[float, str]:
    """Return the moment from which a deadline counts, and its name."""
    if scenario.expect.since == "onset" and found.stall:
        return found.stall.onset, "the stall"
    return found.fault_at or found.opened_at, "the fault" if scenario.steps else "the start"


def _too_late(scenario: Scenario, found: Findings, terms: Timing) -> str | None:
    limit = deadline(scenario, terms)
    if limit is None or found.ended_at is None:
        return None
    since, what = counted_from(scenario, found)
    took, longest = found.ended_at - since, found.longest_stall
    if took > limit:
        return f"session {found.outcome} {took:.1f}s after {what}, expected within {show_duration(limit)}"
    # A client that woke and stalled again is no excuse: it could have been noticed in time.
    if scenario.expect.since == "onset" and longest and longest.seconds > limit:
        return (
            f"session {found.outcome} at {found.ended_at:.1f}s, but a stall of {show_duration(longest.seconds)} before "
            f"went unnoticed, expected within {show_duration(limit)}"
        )
    return None


def _wrong_reason(scenario: Scenario, found: Findings) -> str | None:
    said, expected = found.reason, scenario.expect.reason
    return f"the server says {said!r}, expected {expected!r}" if said and expected and said != expected else None


def _half_closed(found: Findings) -> str | None:
    if not found.still_held:
        return None
    return f"the server ended its side at {found.ended_at:.1f}s but still holds the socket"


def _wrong_books(found: Findings) -> str | None:
    """Return a contradiction between the target's own list, seat or threads and its socket; None if they agree."""
    if problem := found.final.get("problem"):
        return str(problem)
    if found.keeps_list and found.first_listed is None:
        return "the server's own list never showed the session"
    open_still = found.ended_at is None
    checks = {
        "listed": ("the session is still listed", "the session is no longer listed"),
        "lock_held": ("the seat is still taken", "the seat is free"),
    }
    for key, (lingers, vanished) in checks.items():
        if key in found.final and found.final[key] != open_still:
            by = _answers(found) if key == "listed" else ""
            return (
                f"{vanished}{by} though its socket is open"
                if open_still
                else f"{lingers}{by} though its socket is gone"
            )
    threads = found.final.get("session_threads")
    if threads and not open_still:
        return f"threads of the session live on though its socket is gone: {', '.join(threads)}"
    return None


def _answers(found: Findings) -> str:
    """Return how many of the last answers listed the session, if several workers answer."""
    if "answers" not in found.final:
        return ""
    return f" in {found.final['listing']} of {found.final['answers']} answers of {found.final['workers']} processes"


def _success(scenario: Scenario, found: Findings, proof: Proof) -> str:
    if found.outcome == "kept" and scenario.truth != "alive":
        return f"kept, as expected of a server that notices nothing: {_still_there(found)} ({proof.what})"
    if found.outcome == "kept":
        asked = scenario.expect.longest_gap is not None and found.gap is not None
        served = f", at most {show_duration(round(found.gap.seconds, 2))} without data" if asked and found.gap else ""
        return f"kept for {show_duration(found.looked_until - found.opened_at)}: {proof.what}{served}"
    said = f" ({found.reason})" if found.reason else ""
    since, what = counted_from(scenario, found)
    if found.outcome != "reaped" or found.ended_at is None or what == "the start":
        return f"{found.outcome} at {found.ended_at:.1f}s{said}: {proof.what}"
    took, began = show_duration(found.ended_at - since), "" if what == "the fault" else " began"
    return f"{found.outcome} {took} after {what}{began} at {since:.1f}s{said}: {proof.what}"


def _still_there(found: Findings) -> str:
    """Describe what is left of a session that is kept in vain."""
    since = found.fault_at or 0.0
    parts = [f"{show_duration(found.looked_until - since)} after the fault"]
    if found.stall:
        parts.append(f"{show_bytes(found.stall.samples[-1].outq)} stuck")
    if found.final.get("listed"):
        parts.append("the session registered")
    if found.final.get("lock_held"):
        parts.append("the seat taken")
    if found.final.get("healthy"):
        parts.append("/healthz healthy")
    return ", ".join(parts)
