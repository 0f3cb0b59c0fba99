"""Track since when each session has made no progress, over many polls. Pure: sightings in, times out.

The detectors' own rules time what is seen to happen. They are fed only changes, since by their rules a stall grows by
itself. :mod:`halfopen.watch.bounds` estimates what happened before the first poll.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from halfopen.netns.census import Sighting
from halfopen.pod.watchdog import Probe, WatchdogRule
from halfopen.watch import bounds

Rules = Mapping[str, Callable[[float], WatchdogRule]]
"""The class of a detector's rule, by the detector's name."""


class Track:
    """One session while it has bytes queued."""

    __slots__ = ("_outq", "_progress", "_rules", "is_bound", "last", "moved_at")

    def __init__(self, seen: Sighting, since: float | None, rules: Rules) -> None:
        """``since`` is when its queue was last seen empty, None if it was never polled."""
        bound = bounds.stalled(seen)
        self.is_bound = since is None or seen.t - bound < since
        """True if the stall may have begun earlier than its counted start."""
        self.moved_at = seen.t - bound
        """Time of the last acknowledgement, or of the queue's start, as far as is known; the monotonic clock."""
        self.last = seen
        self._outq, self._progress = seen.outq, seen.progress
        self._rules = {name: rule(self.moved_at) for name, rule in rules.items()}
        # Bring the rules to the state they would have had if they had polled when the stall began.
        self._apply_rules(self.moved_at)

    def follow(self, seen: Sighting) -> None:
        """Take in the next sighting."""
        self.last = seen
        outq, progress = seen.outq, seen.progress
        if outq == self._outq and progress == self._progress:
            return
        if progress != self._progress or outq < self._outq:
            self.moved_at, self.is_bound = seen.t, False
        self._outq, self._progress = outq, progress
        self._apply_rules(seen.t)

    def _apply_rules(self, now: float) -> dict[str, float]:
        probe = Probe(self.last.state, self._outq, self._progress[0])
        return {name: rule.stalled_for(probe, now) for name, rule in self._rules.items()}

    @property
    def stuck(self) -> float:
        """Seconds without an acknowledgement, up to the last sighting."""
        return self.last.t - self.moved_at

    def stalled(self) -> dict[str, float]:
        """Return the seconds of stall by each rule."""
        return self._apply_rules(self.last.t)


class Tracks:
    """All sessions with bytes queued."""

    def __init__(self, rules: Rules) -> None:
        self.queued: dict[bytes, Track] = {}
        self._rules = rules
        self._polled_at: float | None = None

    def follow(self, sightings: Iterable[Sighting], now: float) -> None:
        """Take in a poll that ended at ``now``, including every session with bytes queued."""
        before, after = self.queued, dict[bytes, Track]()
        for seen in sightings:
            if not seen.outq:
                continue
            key = seen.key
            track = before.get(key)
            if track is None:
                track = Track(seen, self._polled_at, self._rules)
            else:
                track.follow(seen)
            after[key] = track
        self.queued, self._polled_at = after, now
