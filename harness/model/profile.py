"""A server's profile: its habits while nothing disturbs it, from the timeline of one session. Pure."""

from __future__ import annotations

from itertools import pairwise

import msgspec

from halfopen.model.timeline import Event, Timeline
from halfopen.netns.units import show_bytes, show_duration

#: A server streams if it is never silent for longer, seconds.
STREAM_PAUSE = 5.0
#: Bytes of a ping with its header (RFC 6455, section 5.5).
_LARGEST_CONTROL_FRAME = 127
_QUIET_SHARE = 0.1
#: Seconds between pings that are sent behind messages.
_BEHIND_MESSAGES = 1.0


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """The habits of one server. Times in seconds, sizes in bytes; None for what was not learned."""

    observed: float
    """Seconds for which the session was undisturbed."""
    messages: int
    rate: float
    """Bytes of messages a second."""
    largest: int
    """Size of the largest message."""
    longest_pause: float
    """Longest time without a message, or without a part of one."""
    quiet_share: float = 0.0
    """Share of the time by which pauses were longer than those of a stream."""
    pings_every: float | None = None
    """Seconds between the server's pings; None if it sent fewer than two."""
    pings: int = 0
    answers_ping: bool | None = None
    answers_close: bool | None = None
    reads: bool | None = None
    """True if it took in everything that the client sent; None if that was nothing."""
    compresses: bool | None = None
    """True if it accepts permessage-deflate (RFC 7692)."""
    ended_at: float | None = None
    """Time at which the server ended the undisturbed session; None if it kept it."""
    ended_how: str = ""

    @property
    def streams(self) -> bool:
        """True if something comes every few seconds. One longer pause, of a busy machine say, changes nothing."""
        return self.messages > 0 and self.quiet_share <= _QUIET_SHARE

    def __str__(self) -> str:
        """The profile in one line."""
        return "; ".join(filter(None, (self._speech(), self._pings(), self._end())))

    def _speech(self) -> str:
        if not self.messages and not self.rate:
            return f"sends nothing in {show_duration(self.observed)}"
        sizes = f"messages of up to {show_bytes(self.largest)}" if self.messages else "no whole message"
        if self.streams:
            return f"streams {show_bytes(round(self.rate))}/s in {sizes}"
        messages = f"{self.messages} message{'' if self.messages == 1 else 's'}"
        return f"sends rarely: {messages} in {show_duration(self.observed)}, {sizes}"

    @property
    def suggested_grace(self) -> float | None:
        """Whole seconds within which the server has pinged twice: once to ask, and once to notice that nobody answered.

        None if it sends no pings, or one behind each message: those say nothing about a grace.
        """
        if self.pings_every is None or self.pings_every < _BEHIND_MESSAGES:
            return None
        return float(round(2 * self.pings_every))

    def _pings(self) -> str:
        if self.pings_every is not None:
            grace = "" if self.suggested_grace is None else show_duration(self.suggested_grace)
            return f"pings every {show_duration(self.pings_every)}" + (
                f", so --grace should be at least {grace}" if grace else ""
            )
        return "pings once" if self.pings else "sends no pings"

    def _end(self) -> str:
        if self.ended_at is None:
            return ""
        return f"ends an undisturbed session after {show_duration(self.ended_at)}{self.ended_how}"


def profile_of(timeline: Timeline) -> Profile | None:
    """Return the profile that the timeline of an undisturbed session shows; None if no session was open."""
    if timeline.first("client", "opened") is None:
        return None
    disturbed = timeline.first("fault", "begun")
    ended = _ended_at(timeline) if disturbed is None else None
    until = disturbed.t if disturbed is not None else (ended if ended is not None else _last_moment(timeline))
    reports = [event for event in timeline.of("client", "progress") if event.t <= until]
    last = reports[-1].data if reports else {}
    pings = [event.t for event in timeline.of("client", "ping_received") if event.t <= until]
    gaps = [b - a for a, b in pairwise(pings)]
    accepted = timeline.first("client", "accepted")
    closed = timeline.first("client", "close_received")
    pauses = _pauses(reports, until)
    return Profile(
        observed=round(until, 1),
        messages=last.get("messages", 0),
        rate=last.get("received", 0) / until if until > 0 else 0.0,
        largest=last.get("largest", 0),
        longest_pause=round(max(pauses), 1),
        quiet_share=round(sum(max(0.0, pause - STREAM_PAUSE) for pause in pauses) / until, 3) if until > 0 else 0.0,
        pings=len(pings),
        pings_every=_mean(gaps),
        answers_ping=_answered(timeline, "pinged", "pong_received"),
        answers_close=_answered(timeline, "closing", "close_answered"),
        reads=_reads(timeline, until),
        compresses=None if accepted is None else bool(accepted.data.get("extensions")),
        ended_at=None if ended is None else round(ended, 1),
        ended_how="" if ended is None or closed is None else f" with close code {closed.data.get('code')}",
    )


def _mean(gaps: list[float]) -> float | None:
    """Return the mean to a tenth of a second; to a hundredth if it is below a second."""
    if not gaps:
        return None
    mean = sum(gaps) / len(gaps)
    return round(mean, 1 if mean >= 1 else 2)


def _ended_at(timeline: Timeline) -> float | None:
    ends = [event.t for event in (*timeline.of("kernel"), *timeline.of("client", "close_received", "ended"))]
    return min(ends, default=None)


def _last_moment(timeline: Timeline) -> float:
    return max((sample.t for sample in timeline.samples), default=0.0)


def _pauses(reports: list[Event], until: float) -> list[float]:
    """Return the times between two parts of messages, and since the last."""
    last, pauses, read, received = 0.0, list[float](), 0, 0
    for report in reports:
        if report.data["received"] != received or report.data["read"] - read > _LARGEST_CONTROL_FRAME:
            pauses.append(report.t - last)
            last = report.t
        read, received = report.data["read"], report.data["received"]
    return [*pauses, until - last]


def _answered(timeline: Timeline, asked: str, answer: str) -> bool | None:
    if timeline.first("client", asked) is None:
        return None
    return timeline.first("client", answer) is not None


def _reads(timeline: Timeline, until: float) -> bool | None:
    samples = [sample for sample in timeline.samples if 0 <= sample.t <= until and sample.state == "ESTABLISHED"]
    if not samples or samples[-1].rqueue:
        return False if samples else None
    first, last = samples[0].bytes_received, samples[-1].bytes_received
    return True if first is not None and last is not None and last > first else None
