"""What there is to see of a held session at one moment: a value that can be drawn, or handed to another process."""

from __future__ import annotations

import msgspec

from halfopen.model.timeline import Sample
from halfopen.thread_dump import Dump


class InForce(msgspec.Struct, frozen=True):
    """A fault that was begun and not undone."""

    fault: str
    since: float


class Stacks(msgspec.Struct, frozen=True):
    """What the server's threads were doing."""

    at: float
    dump: Dump | None
    problem: str = ""
    """Why nothing is known of them."""

    @property
    def shows_frames(self) -> bool:
        """Whether it is known where each thread is in its program."""
        return self.dump is not None and any(thread.frames for thread in self.dump.threads)

    @property
    def shows_waiting(self) -> bool:
        """Whether a thread waits for a lock that another is seen to hold."""
        if self.dump is None:
            return False
        held = {lock for thread in self.dump.threads for lock in thread.holds}
        return any(thread.waits_for in held for thread in self.dump.threads if thread.waits_for)


class Deed(msgspec.Struct, frozen=True):
    """Something that was done, or happened, and is told of."""

    t: float
    text: str


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """One look. Times in seconds since the session's start."""

    t: float
    title: str
    """What was started."""
    phase: str
    """What is going on before it is held."""
    held: str | None = None
    """Why it is held; None: not yet."""
    held_at: float = 0.0
    over_at: float | None = None
    """When the server's side of the session ended; None: not yet."""
    over: str | None = None
    """How the server's side of the session ended; None: not yet."""
    still_since: float | None = None
    """Since when bytes are queued and none was acknowledged."""
    sample: Sample | None = None
    is_last: bool = False
    """Whether the socket is gone, so that no other sample will come."""
    series: dict[str, list[int | None]] = {}
    """Each counter's values in the last minute (halfopen.repro.counters)."""
    in_force: tuple[InForce, ...] = ()
    watchdog: str = ""
    books: str = ""
    """What the server itself says of the session."""
    capture: str = ""
    """What is captured, and where to."""
    stacks: Stacks | None = None
    deeds: tuple[Deed, ...] = ()
