"""The end of a session, as far as a timeline shows it: its close frame, its FIN or reset, what came before. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

from halfopen.model import evidence, server_output
from halfopen.model.evidence import Stall
from halfopen.model.profile import Profile
from halfopen.model.timeline import Event, Sample, Timeline
from halfopen.verdict.findings import Findings

#: Stands for a close frame without a code (RFC 6455, section 7.4.1).
_NO_CODE = 1005
#: Seconds by which a sample may miss the moment of what it shows, and by which a pong may follow its ping.
_SAMPLING, _PONG_WITHIN = 0.3, 1.0
#: Seconds after the session's end within which a process that fails may print why, and end.
_FAILS_WITHIN = 0.5
#: Bytes of a ping or a close frame, with TLS (RFC 6455, section 5.5; RFC 8446, section 5.2).
CONTROL_FRAME = 160
#: Unauthorized and forbidden in IANA's registry of close codes, and codes that applications derive from HTTP's 400,
#: 401, 403 and 407 (RFC 9110, section 15.5).
_DENIALS = frozenset({3000, 3003, 4001, 4003, 4400, 4401, 4403, 4407})
_DENIED = re.compile(
    r"\bauth|unauth|\btoken|log ?in\b|credential|forbidden|denied|permission|api.?key|subscribe first", re.IGNORECASE
)
_HEARTBEAT = re.compile(r"heart.?beat|\bping|\bpong|keep.?alive|\bidle|inactiv", re.IGNORECASE)
#: Seconds by which the end of a process may be noticed later than the end of the session that it caused.
_NOTICED = 0.05
#: The first words of programs in other languages that fail: Go, Rust, C++, JavaScript.
_PANIC = re.compile(r"^(panic: |fatal error: |thread '.*' panicked|terminate called|(Uncaught )?\w*Error: )")
#: States after the server's FIN (RFC 9293, section 3.3.2).
_AFTER_FIN = frozenset({"FIN_WAIT1", "FIN_WAIT2", "CLOSING", "LAST_ACK", "TIME_WAIT"})


@dataclass(frozen=True)
class SessionEnd:
    """The end of a session, and what led to it. Times in seconds since the session opened."""

    timeline: Timeline
    found: Findings
    profile: Profile | None = None
    """None if the server was not observed undisturbed."""

    @cached_property
    def ended_at(self) -> float:
        """The end of the server's side; infinity if the session is still held."""
        return float("inf") if self.found.ended_at is None else self.found.ended_at

    @cached_property
    def closed(self) -> Event | None:
        """The server's close frame, as the client got it."""
        return close_frame(self.timeline)

    @cached_property
    def samples(self) -> Sequence[Sample]:
        """Samples of the server's socket while its side was open."""
        return [s for s in evidence.established(self.timeline) if s.t <= self.ended_at]

    @cached_property
    def heard_at(self) -> float | None:
        """Moment of the last data from the client: the last message, pong, or the request that opened the session."""
        last = self.samples[-1] if self.samples else None
        if last is None or last.last_data_recv is None:
            return None
        return max(0.0, last.t - last.last_data_recv / 1000)

    @cached_property
    def sent_at(self) -> float:
        """Moment at which the server last passed new data to its kernel, before the end; 0 for the handshake."""
        return evidence.last_change((s.t, _written(s)) for s in self.samples) or 0.0

    @cached_property
    def heard_moments(self) -> Sequence[float]:
        """Moments of data from the client, while the server's side was open, with that of the handshake."""
        moments = [0.0]
        for sample in self.samples:
            heard = sample.t - (sample.last_data_recv or 0) / 1000
            if sample.last_data_recv is not None and heard > moments[-1] + _SAMPLING:
                moments.append(heard)
        return moments

    @cached_property
    def sent_moments(self) -> Sequence[float]:
        """Moments at which the server passed new data to its kernel, while its side was open."""
        return [after.t for before, after in pairwise(self.samples) if _written(after) > _written(before)]

    @cached_property
    def has_sent_since_heard(self) -> bool:
        """True if the server sent anything after it last heard the client, and before it ended the session."""
        since = (self.heard_at or 0.0) + _SAMPLING
        return any(since < moment < self.ended_at - _SAMPLING for moment in self.sent_moments)

    @cached_property
    def small_sends(self) -> Sequence[float]:
        """Moments, since the client was last heard, of the server's sends; empty if any is larger than a ping."""
        moments: list[float] = []
        for before, after in pairwise(self.samples):
            if after.t <= (self.heard_at or 0.0) + _SAMPLING or not (count := _written(after) - _written(before)):
                continue
            if count > CONTROL_FRAME:
                return ()
            moments.append(max(before.t, after.t - after.last_data_sent / 1000))
        return moments

    @cached_property
    def stall(self) -> Stall | None:
        """The stall in which the session ended."""
        return evidence.last_stall(self.samples)

    @cached_property
    def is_reset(self) -> bool:
        """True if the server's socket went without a FIN (RFC 9293, section 3.10.7)."""
        after = [s.state for s in self.timeline.samples if s.t >= self.ended_at]
        destroyed = self.timeline.first("kernel", "destroyed")
        states = [*after, *([destroyed.data.get("state")] if destroyed else [])]
        return bool(states) and all(state in ("CLOSE", "ESTABLISHED", None) for state in states)

    @cached_property
    def is_finished(self) -> bool:
        """True if the server sent a FIN: its socket was seen in a state after it."""
        after = {s.state for s in self.timeline.samples if s.t >= self.ended_at}
        return bool(after & _AFTER_FIN)

    @cached_property
    def limits(self) -> dict[str, Any]:
        """The limits that the kernel keeps for the server's socket (halfopen.netns.sockets.Timeouts)."""
        noted = self.timeline.last("target", "timeouts")
        return {} if noted is None else dict(noted.data)

    @cached_property
    def last_pong_at(self) -> float | None:
        """Moment of the client's last pong that reached the server; None if that is not what came last."""
        pings = [event.t for event in self.timeline.of("client", "ping_received") if event.t <= self.ended_at]
        if not pings or self.heard_at is None:
            return None
        return self.heard_at if abs(self.heard_at - pings[-1]) <= _PONG_WITHIN else None

    @cached_property
    def has_heard_messages(self) -> bool:
        """True if the client sent any message of its own."""
        said = any(event.data.get("acknowledged") for event in self.timeline.of("client", "progress"))
        opened = self.timeline.first("client", "opened")
        return bool(opened and opened.data.get("sends")) or bool(said and opened and opened.data.get("acknowledging"))

    def said(self, pattern: re.Pattern[str]) -> str | None:
        """Return the first line of the server's output near the end that contains the pattern."""
        return next(filter(pattern.search, server_output.near(self.timeline, self.ended_at)), None)


def close_frame(timeline: Timeline) -> Event | None:
    """Return the server's close frame: the first that its client got, or that lies unread in the client's kernel."""
    return timeline.first("client", "close_received") or timeline.first("lab", "close_unread")


def denies(closed: Event) -> bool:
    """True if a close frame says, by its code or in its reason, that the client may not have the session."""
    code, reason = closed.data.get("code"), str(closed.data.get("reason") or "")
    return code in _DENIALS or bool(_DENIED.search(reason))


def misses_heartbeat(closed: Event) -> bool:
    """True if the reason of a close frame says that the server heard nothing from its client."""
    return bool(_HEARTBEAT.search(str(closed.data.get("reason") or "")))


def fatal(timeline: Timeline, found: Findings) -> Event | None:
    """Return the end of the process that served the session, if the session ended by it; None otherwise.

    A worker that leaves after its last session has ended is no crash, unless an exception says so.
    """
    ended = timeline.first("target", "serving_process_ended")
    if ended is None or found.ended_at is None or ended.t <= found.ended_at + _NOTICED:
        return ended
    return ended if ended.t <= found.ended_at + _FAILS_WITHIN and last_words(timeline, ended) else None


def last_words(timeline: Timeline, ended: Event) -> str | None:
    """Return the exception, or else the panic, that a server printed last near the end of its process."""
    panics = [line for line in server_output.near(timeline, ended.t) if _PANIC.match(line)]
    return next(reversed(server_output.exceptions(timeline, ended.t) or panics), None)


def closing(closed: Event) -> str:
    """Return a close frame in words: its code, and its reason if it has one (RFC 6455, section 7.1.6)."""
    return f"closed by the server with {code_and_reason(closed)}"


def code_and_reason(closed: Event) -> str:
    """Return the code of a close frame, and its reason if it has one."""
    code, reason = closed.data.get("code"), closed.data.get("reason")
    return f"{'no code' if code in (None, _NO_CODE) else code}" + (f" {reason!r}" if reason else "")


def ending(timeline: Timeline, found: Findings) -> str | None:
    """Describe the end of the session, as far as known, to follow the word "ended"; None if the server still has it."""
    if found.ended_at is None:
        return None
    if (closed := close_frame(timeline)) is not None:
        when = f"at {closed.t:.1f}s" if closed.name == "close_received" else "(unread in the client's kernel)"
        return f"{closing(closed)} {when}"
    seen = SessionEnd(timeline, found)
    if seen.is_finished:
        return f"by a FIN of the server at {found.ended_at:.1f}s, without a close frame"
    ended = timeline.first("client", "ended")
    if ended is not None and ended.data.get("how") == ConnectionResetError.__name__:
        return f"by a reset of the server at {found.ended_at:.1f}s, without a close frame"
    if seen.is_reset:
        return f"at {found.ended_at:.1f}s: the server's socket went without a FIN and without a close frame"
    return f"at {found.ended_at:.1f}s without a close frame"


def _written(sample: Sample) -> int:
    """Return the bytes that the server passed to its kernel."""
    return (sample.bytes_acked or 0) + sample.outq
