"""Common parts of the detectors with a watchdog thread per session: all but the rule."""

from __future__ import annotations

from collections.abc import Callable

from halfopen.pod.detector_hold import HeldStall
from halfopen.pod.detectors._seam import Detector, Guarded, Settings
from halfopen.pod.watchdog import Watchdog, WatchdogRule

MakeRule = Callable[[Guarded, float], WatchdogRule]
"""Creates a session's rule at its start, seconds of the monotonic clock."""


class Watchdogs(Detector):
    """A :class:`~halfopen.pod.watchdog.Watchdog` for every session, with one rule."""

    def __init__(self, settings: Settings, make_rule: MakeRule) -> None:
        self._settings = settings
        self._make_rule = make_rule
        if settings.hold is not None:
            settings.hold.take()

    def guard(self, session: Guarded) -> Watchdog:
        """Watch the session's socket."""
        return Watchdog(
            session.sock,
            session.declare_dead,
            grace=self._settings.grace,
            poll=self._settings.poll,
            reap=self._settings.reap or "shutdown",
            rule=lambda now: self._rule(session, now),
            name=f"watchdog-{session.id}",
        )

    def _rule(self, session: Guarded, now: float) -> WatchdogRule:
        rule, hold = self._make_rule(session, now), self._settings.hold
        return rule if hold is None else HeldStall(rule, self._settings.grace, hold, session.id)
