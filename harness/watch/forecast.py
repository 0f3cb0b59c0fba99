"""Forecast of each of the pod's detectors on a session: its verdict, and when, if nothing changes. Pure.

The rules are the detectors' own. The watchdog's rules have been fed what was seen. ``halfopen`` is replayed from the
beginning of the stall, with what the kernel's timers must have done, and on into the future. What the kernel or the
library does by itself has no code of ours, and is a sentence with its source here.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from halfopen.netns.census import RawSample
from halfopen.netns.tcp_info import TcpInfo
from halfopen.netns.units import show_bytes, show_duration
from halfopen.pod.liveness.reading import Reading
from halfopen.pod.liveness.rule import Rule, Terms
from halfopen.watch import bounds

DETECTORS = (
    "ack-stall", "bytes-acked", "halfopen", "none", "outq", "ping-timeout", "ping-timeout-90", "so-keepalive",
    "so-sndtimeo", "tcp-user-timeout",
)  # fmt: skip

Word = Literal["dead", "spared", "unseen"]
#: How far ahead a rule is asked, in graces. Any rule that will give a verdict has done so by then.
_HORIZON = 6.0
#: Longest time of an answer, milliseconds.
_PATIENCE_MS = 1000
_LOOK_AT_STATE = ("ack-stall", "bytes-acked", "halfopen", "outq")


@dataclass(frozen=True, slots=True)
class Forecast:
    """One detector's verdict."""

    word: Word
    """``dead``; ``spared``: it lets the session be; ``unseen``: it relies on what is not observable from outside."""
    why: str
    within: float | None = None
    """Seconds from now until the verdict; below 0 if it would be past."""
    is_bound: bool = False
    """True if it may be earlier, since the stall may have begun before its known start."""

    def __str__(self) -> str:
        if self.within is None:
            return f"{'not to be seen' if self.word == 'unseen' else 'never'}: {self.why}"
        if self.within > 0:
            return f"dead in {'at most ' * self.is_bound}{show_duration(_rounded(self.within))}: {self.why}"
        return f"dead since {'at least ' * self.is_bound}{show_duration(_rounded(-self.within))}: {self.why}"

    @property
    def brief(self) -> str:
        """The verdict in a table cell."""
        if self.within is None:
            return "not seen" if self.word == "unseen" else "spared"
        sign = ("≤", "≥")[self.within <= 0] if self.is_bound else ""
        return f"dead {'in' if self.within > 0 else 'since'} {sign}{show_duration(_rounded(abs(self.within)))}"


def _rounded(seconds: float) -> float:
    return round(seconds, 1) if seconds < 10 else float(round(seconds))


@dataclass(frozen=True, slots=True)
class OngoingStall:
    """A session with bytes queued."""

    seen: RawSample
    info: TcpInfo
    reading: Reading
    stuck: float
    """Seconds without an acknowledgement."""
    is_bound: bool
    """True if ``stuck`` is a lower bound."""
    stalled: Mapping[str, float]
    """Seconds of stall by each detector that has a rule of the watchdog's."""

    @property
    def is_answered(self) -> bool:
        """True if the peer's kernel has answered the last segment, or still has time to."""
        return self.info.last_ack_recv <= self.reading.last_data_sent + _PATIENCE_MS


def quiet(name: str, state: str) -> Forecast:
    """Return a detector's forecast for a session without queued bytes, whose liveness the kernel cannot show."""
    nothing = "nothing is queued"
    if state != "ESTABLISHED" and name in _LOOK_AT_STATE:
        return Forecast("dead", f"the connection is {state}", 0.0)
    match name:
        case "none":
            return Forecast("spared", "TCP gives up a dark path only, after 15 min or so")
        case "ack-stall":
            return Forecast("unseen", "it asks the client's application")
        case "so-keepalive":
            return Forecast("unseen", f"{nothing}: dead if the peer's kernel does not answer its probes")
        case "ping-timeout" | "ping-timeout-90" | "halfopen":
            return Forecast("unseen", f"{nothing}, and whether its pings are answered only the server knows")
        case _:
            return Forecast("spared", nothing)


def of(name: str, stall: OngoingStall, grace: float, poll: float) -> Forecast:
    """Return a detector's forecast for a session with bytes queued. ``grace`` and ``poll`` are in seconds."""
    if stall.info.state_name != "ESTABLISHED" and name in _LOOK_AT_STATE:
        return Forecast("dead", f"the connection is {stall.info.state_name}", 0.0)
    match name:
        case "none" | "ack-stall":
            return quiet(name, stall.info.state_name)
        case "ping-timeout" | "ping-timeout-90":
            backlog = show_bytes(stall.reading.backlog)
            return Forecast("unseen", f"its ping waits behind {backlog}, or for a lock")
        case "so-keepalive":
            return Forecast("spared", "the kernel sends none while bytes are queued")
        case "so-sndtimeo":
            return Forecast("unseen", f"a send that blocks fails after {show_duration(grace / 3)}")
        case "tcp-user-timeout":
            return _after(stall, stall.stuck, grace, "the kernel gives up")
        case "outq":
            return _after(stall, stall.stalled["outq"], grace, "the queue does not shrink")
        case "halfopen":
            return _halfopen(stall, grace, poll)
        case _:
            return _after(stall, stall.stalled["bytes-acked"], grace, "nothing acknowledged")


def _after(stall: OngoingStall, stalled: float, grace: float, why: str) -> Forecast:
    return Forecast("dead", why, grace - stalled, stall.is_bound)


def _halfopen(stall: OngoingStall, grace: float, poll: float) -> Forecast:
    rule = Rule(Terms(grace, poll), -stall.stuck)
    at = -stall.stuck
    end = at + (_HORIZON + 1) * grace
    history = _History(stall, end)
    while at < end:
        death = rule.look(history.at(at), at)
        if death is not None:
            return Forecast("dead", death.reason.replace("_", " "), at, stall.is_bound)
        at = min(at + poll, max(rule.due, at + 1e-3))
    return Forecast("spared", f"nothing that lasts is proved in {show_duration(_HORIZON * grace)}")


class _History:
    """A stall's readings at any moment since it began, and later. Only the counters of its timers change."""

    def __init__(self, stall: OngoingStall, until: float) -> None:
        self._now = stall.reading
        self._onset = -stall.stuck
        self._dark_at = _dark_at(stall)
        waits = bounds.probes(stall.info)
        if stall.info.unacked:
            waits, _ = bounds.retransmissions(stall.seen, stall.info)
        self._asked_at = waits.moments(until + stall.stuck)

    def _asked_by(self, moment: float) -> int:
        return bisect.bisect_right(self._asked_at, moment - self._onset)

    def at(self, moment: float) -> Reading:
        """Return the reading at a moment, seconds from now."""
        age = moment - self._onset
        unanswered = max(0.0, moment - self._dark_at)
        asked = self._asked_by(moment)
        probes, sent = 0, age
        if self._now.unacked:
            sent -= self._asked_at[asked - 1] if asked else 0.0
        elif unanswered:
            probes = asked - self._asked_by(self._dark_at)
        return self._now._replace(
            probes=probes,
            last_ack_recv=round(unanswered * 1000),
            last_data_sent=round(sent * 1000),
            last_data_recv=round(max(unanswered, age) * 1000),
        )


def _dark_at(stall: OngoingStall) -> float:
    """Return since when the peer's kernel has answered nothing, seconds from now; infinite if it answers."""
    if stall.info.unacked:
        return math.inf if stall.is_answered else -stall.stuck
    # One answer may still be on its way.
    return -min(stall.info.last_ack_recv / 1000, stall.stuck) if stall.info.probes > 1 else math.inf
