"""The superseded reaper: something was sent, and the client's application acknowledges nothing for the grace.

It takes a client that draws what it gets but says nothing for dead, and so one whose words a starved
server has not come to read. Its watchdog looks at the socket's state too, as all of the incident's do.
"""

from __future__ import annotations

from halfopen.pod.detectors._seam import Guarded, Settings
from halfopen.pod.detectors._watchdogs import Watchdogs
from halfopen.pod.watchdog import Probe, Reason


class AckRule:
    """Bytes sent that the application has not acknowledged, and no acknowledgement since the last look."""

    reason: Reason = "no_answer"

    def __init__(self, session: Guarded, now: float) -> None:
        self._session = session
        self._since = now
        self._acknowledged = session.acknowledged

    def stalled_for(self, _seen: Probe, now: float) -> float:
        """Seconds since the last acknowledgement, or since the start, as of ``now``; 0 if none is due."""
        acknowledged = self._session.acknowledged
        if acknowledged != self._acknowledged or self._session.sent <= (acknowledged or 0):
            self._since = now
        self._acknowledged = acknowledged
        return now - self._since


def create(settings: Settings) -> Watchdogs:
    """The detector with its settings."""
    return Watchdogs(settings, AckRule)
