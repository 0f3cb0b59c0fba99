"""The state of a held session at one moment: a value that can be drawn, or sent to another process."""

from __future__ import annotations

import msgspec

from halfopen.model.timeline import Sample
from halfopen.thread_dump import Dump


class InForce(msgspec.Struct, frozen=True):
    """A fault that was begun and not undone."""

    fault: str
    since: float


class Stacks(msgspec.Struct, frozen=True):
    """The stacks of the server's threads."""

    at: float
    dump: Dump | None
    problem: str = ""
    """Reason why the stacks are not known."""

    @property
    def shows_frames(self) -> bool:
        """True if any thread's place in its program is known."""
        return self.dump is not None and any(thread.frames for thread in self.dump.threads)

    @property
    def shows_waiting(self) -> bool:
        """True if a thread waits for a lock that another is seen to hold."""
        if self.dump is None:
            return False
        held = {lock for thread in self.dump.threads for lock in thread.holds}
        return any(thread.waits_for in held for thread in self.dump.threads if thread.waits_for)


class Deed(msgspec.Struct, frozen=True):
    """An action or event worth reporting."""

    t: float
    text: str


class SessionView(msgspec.Struct, frozen=True, kw_only=True):
    """The state at one moment. Times in seconds since the session's start."""

    t: float
    title: str
    """The scenario and server that were started."""
    phase: str
    """The current phase before the hold."""
    held: str | None = None
    """Reason for the hold; None before it begins."""
    held_at: float = 0.0
    over_at: float | None = None
    """Time at which the server's side of the session ended; None if it has not."""
    over: str | None = None
    """Description of that end; None if it has not ended."""
    still_since: float | None = None
    """Start of the stall: bytes are queued and none acknowledged since."""
    sample: Sample | None = None
    is_last: bool = False
    """True if the socket is gone, so that no other sample will come."""
    series: dict[str, list[int | None]] = {}
    """Each counter's values in the last minute (halfopen.repro.counters)."""
    in_force: tuple[InForce, ...] = ()
    watchdog: str = ""
    books: str = ""
    """The server's own view of the session."""
    capture: str = ""
    """Progress and destination of the packet capture."""
    stacks: Stacks | None = None
    deeds: tuple[Deed, ...] = ()
