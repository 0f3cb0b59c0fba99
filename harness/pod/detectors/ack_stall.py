"""The superseded reaper: something was sent, and the client's application acknowledges nothing for the grace.

It takes a client that displays its data but sends nothing for dead. The same holds for a client whose messages a
starved server has not read yet. Its watchdog also checks the socket's state, as all of the incident's do.
"""

from __future__ import annotations

from halfopen.liveness.death import Reason
from halfopen.pod.detectors._seam import Guarded, Settings, Watchdogs
from halfopen.pod.watchdog import Probe

SUMMARY = "for the grace no acknowledgement by the client's application"


class AckRule:
    """Bytes sent but not acknowledged by the application, and no acknowledgement since the last poll."""

    reason: Reason = "no_answer"

    def __init__(self, session: Guarded, now: float) -> None:
        self._session = session
        self._since = now
        self._acknowledged = session.acknowledged

    def stalled_for(self, _seen: Probe, now: float) -> float:
        """Return the seconds as of ``now`` since the last acknowledgement, or since the start; 0 if none is due."""
        acknowledged = self._session.acknowledged
        if acknowledged != self._acknowledged or self._session.sent <= (acknowledged or 0):
            self._since = now
        self._acknowledged = acknowledged
        return now - self._since


def create(settings: Settings) -> Watchdogs:
    """Return the detector with its settings."""
    return Watchdogs(settings, AckRule)
