"""The watchdog's first version: bytes queued (SIOCOUTQ), and never fewer than at the poll before, for the grace.

A slow but live client's queue can stay at one level while data flows through it: see ``bytes-acked``.
"""

from __future__ import annotations

from halfopen.liveness.death import Reason
from halfopen.pod.detectors._seam import Settings, Watchdogs
from halfopen.pod.watchdog import Probe

SUMMARY = "bytes queued, and for the grace never fewer than at the poll before (SIOCOUTQ)"


class QueueRule:
    """Bytes queued, and not fewer than at the last poll. Pure."""

    reason: Reason = "send_stall"

    def __init__(self, now: float) -> None:
        self._since = now
        self._outq = 0

    def stalled_for(self, seen: Probe, now: float) -> float:
        """Return the seconds as of ``now`` in which the queue neither emptied nor shrank."""
        if not seen.outq or seen.outq < self._outq:
            self._since = now
        self._outq = seen.outq
        return now - self._since


RULE = QueueRule


def create(settings: Settings) -> Watchdogs:
    """Return the detector with its settings."""
    return Watchdogs(settings, lambda _, now: RULE(now))
