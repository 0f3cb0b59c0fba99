"""Since when each session has made no progress, look after look. Pure: sightings in, times out.

What is seen to happen is counted by the detectors' own rules, which are told nothing while nothing changes: by them
a stall grows by itself. What had happened before the first look is taken from :mod:`halfopen.watch.bounds`.
"""

from __future__ import annotations

from collections.abc import Iterable

from halfopen.netns.census import Sighting
from halfopen.pod.detectors.outq import QueueRule
from halfopen.pod.watchdog import Probe, StallRule
from halfopen.watch import bounds


class Track:
    """One session while it has bytes queued."""

    __slots__ = ("_outq", "_progress", "_queue", "_stall", "is_bound", "last", "moved_at")

    def __init__(self, seen: Sighting, since: float | None) -> None:
        """``since``: when its queue was last seen to be empty, None if nobody looked."""
        proved = bounds.stalled(seen)
        self.is_bound = since is None or seen.t - proved < since
        """Whether the stall may have begun earlier than it is counted from."""
        self.moved_at = seen.t - proved
        """When something was last acknowledged, or the queue began, as far as is known: the monotonic clock."""
        self.last = seen
        self._outq, self._progress = seen.outq, seen.progress
        self._stall, self._queue = StallRule(self.moved_at), QueueRule(self.moved_at)
        # As the rules would have it if they had looked when the stall began, too.
        self._tell(self.moved_at)

    def follow(self, seen: Sighting) -> None:
        """Take the next sighting in."""
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
        """Seconds until the last sighting in which nothing was acknowledged."""
        return self.last.t - self.moved_at

    def stalled(self) -> dict[str, float]:
        """Seconds of stall by the rule of each detector that has one of the watchdog's."""
        told = Probe(self.last.state, self._outq, self._progress[0])
        now = self.last.t
        return {"bytes-acked": self._stall.stalled_for(told, now), "outq": self._queue.stalled_for(told, now)}


class Tracks:
    """All sessions with bytes queued."""

    def __init__(self) -> None:
        self.queued: dict[bytes, Track] = {}
        self._looked_at: float | None = None

    def follow(self, sightings: Iterable[Sighting], now: float) -> None:
        """Take in a look that ended at ``now``: all that have bytes queued."""
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
