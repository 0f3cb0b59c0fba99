"""A detector's verdict on a session of a running server, and the kernel's data that it is made from. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from halfopen.liveness.reading import Reading
from halfopen.netns.census import RawSample
from halfopen.netns.sockets import SocketSample
from halfopen.netns.units import show_duration

#: Longest time of an answer, milliseconds.
_PATIENCE_MS = 1000


@dataclass(frozen=True, slots=True)
class Forecast:
    """One detector's verdict, if nothing changes."""

    why: str
    within: float | None = None
    """Seconds from now until it ends the session; below 0 if it would have done so already; None: it never does."""
    is_bound: bool = False
    """True if it may be earlier, since the stall may have begun before its known start."""

    @property
    def is_past(self) -> bool:
        """True if it would have ended the session already."""
        return self.within is not None and self.within <= 0

    def __str__(self) -> str:
        if self.within is None:
            return f"never: {self.why}"
        if self.within > 0:
            return f"dead in {'at most ' * self.is_bound}{brief_duration(self.within)}: {self.why}"
        return f"dead since {'at least ' * self.is_bound}{brief_duration(-self.within)}: {self.why}"

    @property
    def brief(self) -> str:
        """The verdict in a table cell."""
        if self.within is None:
            return "spared"
        sign = ("≤", "≥")[self.within <= 0] if self.is_bound else ""
        return f"dead {'in' if self.within > 0 else 'since'} {sign}{brief_duration(abs(self.within))}"


def brief_duration(seconds: float) -> str:
    """Format a duration with two digits or so."""
    return show_duration(round(seconds, 1) if seconds < 10 else float(round(seconds)))


@dataclass(frozen=True, slots=True)
class ObservedSession:
    """The kernel's data on a session, and since when it makes no progress."""

    seen: RawSample
    sample: SocketSample
    reading: Reading
    stuck: float
    """Seconds without an acknowledgement, with bytes queued; 0 with nothing queued."""
    is_bound: bool
    """True if ``stuck`` is a lower bound."""

    @property
    def is_answered(self) -> bool:
        """True if the peer's kernel has answered the last segment, or still has time to."""
        return self.reading.last_ack_recv <= self.reading.last_data_sent + _PATIENCE_MS

    @property
    def is_heard(self) -> bool:
        """True if the peer's data came after the last segment was sent, or there is still time for an answer."""
        return self.reading.last_data_recv <= self.reading.last_data_sent + _PATIENCE_MS
