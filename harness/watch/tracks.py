"""Track since when each session has made no progress, over many polls. Pure: sightings in, times out.

The detectors' own rules time what is seen to happen. They are fed only changes, since by their rules a stall grows by
itself. :mod:`halfopen.watch.bounds` estimates what happened before the first poll.
"""

from __future__ import annotations

from collections.abc import Iterable

from halfopen.netns.census import RawSample
from halfopen.pod.detectors.outq import QueueRule
from halfopen.pod.watchdog import Probe, StallRule
from halfopen.watch import bounds


class Track:
    """One session while it has bytes queued."""

    __slots__ = ("_outq", "_progress", "_queue", "_stall", "is_bound", "last", "moved_at")

    def __init__(self, seen: RawSample, since: float | None) -> None:
        """``since`` is when its queue was last seen empty, None if it was never polled."""
        proved = bounds.stalled(seen)
        self.is_bound = since is None or seen.t - proved < since
        """True if the stall may have begun earlier than its counted start."""
        self.moved_at = seen.t - proved
        """Time of the last acknowledgement, or of the queue's start, as far as is known; the monotonic clock."""
        self.last = seen
        self._outq, self._progress = seen.outq, seen.progress
        self._stall, self._queue = StallRule(self.moved_at), QueueRule(self.moved_at)
        # Bring the rules to the state they would have had if they had polled when the stall began.
        self._tell(self.moved_at)

    def follow(self, seen: RawSample) -> None:
        """Take in the next sighting."""
        self.last = seen
        outq, progress = seen.outq, seen.progress
        if outq == self._outq and progress == self._progress:
            return
        if progress != self._progress or outq < self._outq:
            self.moved_at, self.is_bound = seen.t, False
        self._outq, self._progress = outq, progress
        self._tell(seen.t)

    def _tell(self, now: float) -> None:
        told = Probe(self.last.state, self._outq, self._progress[0])
        self._stall.stalled_for(told, now)
        self._queue.stalled_for(told, now)

    @property
    def stuck(self) -> float:
        """Seconds without an acknowledgement, up to the last sighting."""
        return self.last.t - self.moved_at

    def stalled(self) -> dict[str, float]:
        """Return the seconds of stall by each detector that has a rule of the watchdog's."""
        told = Probe(self.last.state, self._outq, self._progress[0])
        now = self.last.t
        return {"bytes-acked": self._stall.stalled_for(told, now), "outq": self._queue.stalled_for(told, now)}


class Tracks:
    """All sessions with bytes queued."""

    def __init__(self) -> None:
        self.queued: dict[bytes, Track] = {}
        self._looked_at: float | None = None

    def follow(self, sightings: Iterable[RawSample], now: float) -> None:
        """Take in a poll that ended at ``now``, including every session with bytes queued."""
        before, after = self.queued, dict[bytes, Track]()
        for seen in sightings:
            if not seen.outq:
                continue
            key = seen.key
            track = before.get(key)
            if track is None:
                track = Track(seen, self._looked_at)
            else:
                track.follow(seen)
            after[key] = track
        self.queued, self._looked_at = after, now
