"""Track since when each session has made no progress, over many polls. Pure: sightings in, times out.

The detectors' own rules time what is seen to happen. They are fed only changes, since by their rules a stall grows by
itself. The kernel's timers give a bound on what happened before the first poll.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from halfopen.netns import tcp_timers
from halfopen.netns.census import PROBE, RawSample
from halfopen.netns.tcp_info import TcpInfo
from halfopen.pod.watchdog import Probe, WatchdogRule

Rules = Mapping[str, Callable[[float], WatchdogRule]]
"""The class of a detector's rule, by the detector's name."""


#: State of a session whose client has sent its FIN.
_CLOSED = "CLOSE_WAIT"


class Track:
    """One session while it has bytes queued, or after its client has closed."""

    __slots__ = ("_outq", "_progress", "_rules", "is_bound", "last", "moved_at")

    def __init__(self, seen: RawSample, since: float | None, rules: Rules) -> None:
        """``since`` is when its queue was last seen empty, None if it was never polled."""
        bound = least_stall(seen)
        self.is_bound = since is None or seen.t - bound < since
        """True if the stall may have begun earlier than its counted start."""
        self.moved_at = seen.t - bound
        """Time of the last acknowledgement, of the queue's start, or of the client's close, as far as is known.

        The monotonic clock.
        """
        self.last = seen
        self._outq, self._progress = seen.outq, seen.progress
        self._rules = {name: rule(self.moved_at) for name, rule in rules.items()}
        # Bring the rules to the state they would have had if they had polled when the stall began.
        self._apply_rules(self.moved_at)

    def follow(self, seen: RawSample) -> None:
        """Take in the next sighting. A session whose client has closed makes no progress, whatever it still takes."""
        had_closed = self.last.state == _CLOSED
        self.last = seen
        if had_closed:
            return
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
    """All sessions with bytes queued, or whose client has closed."""

    def __init__(self, rules: Rules) -> None:
        self.queued: dict[bytes, Track] = {}
        self._rules = rules
        self._polled_at: float | None = None

    def follow(self, sightings: Iterable[RawSample], now: float) -> None:
        """Take in a poll that ended at ``now``, with every session that has bytes queued or whose client has closed."""
        before, after = self.queued, dict[bytes, Track]()
        for seen in sightings:
            if not seen.outq and seen.state != _CLOSED:
                continue
            key = seen.key
            track = before.get(key)
            if track is None:
                track = Track(seen, self._polled_at, self._rules)
            else:
                track.follow(seen)
            after[key] = track
        self.queued, self._polled_at = after, now


def least_stall(seen: RawSample) -> float:
    """Return the least age of a stall by a single reading, in seconds; 0 if the session may be moving.

    A first poll that finds a stall did not see it begin, and the kernel does not record that moment. Its timers give a
    bound: a number of doublings takes a known time at least. An idle time before the stall must not count.
    ``last_ack_recv`` alone would call a session stuck that was silent for an hour and was sent its first byte a moment
    ago.
    """
    sample = seen.sample
    info = sample.info
    if info is None:
        return 0.0
    if sample.state == _CLOSED:
        return info.unheard  # the client's FIN came with its last packet, or before it
    if not sample.outq:
        return 0.0
    return _dark(info, seen) if info.unacked else _shut(info, seen)


def _shut(info: TcpInfo, seen: RawSample) -> float:
    """Return the bound for a closed window.

    All that was ever sent is acknowledged, so nothing was since a moment after the last send. The peer's window has
    limited us for as long as it has been shut. The doublings cannot mean more than either.
    """
    if seen.timer != PROBE:
        return 0.0
    timer = tcp_timers.probes(info)
    by_doublings = timer.after(info.backoff) + max(0.0, timer.wait(info.backoff) - seen.expires)
    limited = by_doublings if info.rwnd_limited is None else info.rwnd_limited / 1e6
    return max(0.0, min(by_doublings, info.last_data_sent / 1000, limited))


def _dark(info: TcpInfo, seen: RawSample) -> float:
    """Return the bound from retransmissions, the last of them ``last_data_sent`` ago.

    The peer may answer them and accept nothing, behind a window that it shut after they were sent. Bytes that it
    accepts beyond a gap (SACK) are progress.
    """
    timer, doublings = tcp_timers.retransmissions(seen, info)
    if not doublings:
        return 0.0
    sent = info.last_data_sent / 1000
    bound = timer.after(doublings) + sent
    # Once the timer waits its longest, its first wait can no longer be derived from it.
    usual, _ = tcp_timers.retransmissions(seen, info, tcp_timers.LEAST_RTO)
    return max(min(bound, info.unheard) if seen.sacked else bound, min(usual.after(doublings) + sent, info.unheard))
