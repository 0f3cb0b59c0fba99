"""A held watchdog: it observes and decides, but acts on nothing until it is released.

With it a wedged session can be observed for longer than the watchdog would allow (``halfopen repro``).
"""

from __future__ import annotations

import threading

from halfopen.pod.liveness.reading import Fields
from halfopen.pod.liveness.rule import Rule as LivenessRule
from halfopen.pod.liveness.rule import Terms
from halfopen.pod.log import log
from halfopen.pod.watchdog import Death, Probe, Reason, WatchdogRule


class Hold:
    """Holds back the verdicts of a pod's watchdogs; may be changed at any time, from any thread."""

    def __init__(self) -> None:
        self._held = threading.Event()
        self._taken = threading.Event()

    @property
    def is_held(self) -> bool:
        """True while they are held back."""
        return self._held.is_set()

    def take(self) -> None:
        """Called by detectors that respect it: the library's keepalive and the kernel's timers cannot."""
        self._taken.set()

    def hold(self) -> None:
        """Hold them back, if the detector can; the log records which."""
        if self._taken.is_set():
            self._held.set()
            log("watchdog_held")
        else:
            log("watchdog_cannot_be_held")

    def release(self) -> None:
        """Release them: the next poll ends clients that are dead then, and no client that has recovered."""
        self._held.clear()
        log("watchdog_released")


class HeldStall:
    """A rule of :class:`halfopen.pod.watchdog.Watchdog` that finds no client dead while it is held."""

    def __init__(self, rule: WatchdogRule, grace: float, hold: Hold, session: str) -> None:
        """``grace`` in seconds; ``session`` is its name in the log."""
        self._rule, self._grace, self._hold, self._session = rule, grace, hold, session
        self._told = False

    @property
    def reason(self) -> Reason:
        """The reason of the wrapped rule."""
        return self._rule.reason

    def stalled_for(self, seen: Probe, now: float) -> float:
        """Return the wrapped rule's result, but below the grace while it is held."""
        stall = self._rule.stalled_for(seen, now)
        if stall < self._grace:
            self._tell(None)
            return stall
        if not self._hold.is_held:
            return stall
        self._tell(Death(self.reason, seen.outq, stall, seen.state))
        return 0.0

    def _tell(self, death: Death | None) -> None:
        self._told = _tell(self._session, death, self._told)


class HeldLooks(LivenessRule):
    """The rule of :mod:`halfopen.pod.liveness`, but it finds no client dead while it is held."""

    __slots__ = ("_hold", "_session", "_told")

    def __init__(self, terms: Terms, now: float, hold: Hold, session: str) -> None:
        super().__init__(terms, now)
        self._hold, self._session = hold, session
        self._told = False

    def look(self, seen: Fields, now: float) -> Death | None:
        """Return the rule's verdict. While it is held, only a closed connection counts as dead."""
        death = super().look(seen, now)
        if death is not None and (death.reason == "peer_closed" or not self._hold.is_held):
            return death
        self._told = _tell(self._session, death, self._told)
        return None


def _tell(session: str, death: Death | None, told: bool) -> bool:
    """Log that a verdict is held back, or that it no longer holds; returns True if one is held back now."""
    if death is not None and not told:
        log("verdict_held", session=session, **death._asdict())
    if death is None and told:
        log("verdict_dropped", session=session)
    return death is not None
