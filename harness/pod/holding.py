"""A watchdog that is held back: it looks on and makes up its mind, and does nothing of it until it is let go.

For whoever wants to look at a wedged session for longer than the watchdog would leave it (``halfopen repro``).
"""

from __future__ import annotations

import threading

from halfopen.pod.liveness.reading import Fields
from halfopen.pod.liveness.rule import Rule as LivenessRule
from halfopen.pod.liveness.rule import Terms
from halfopen.pod.log import log
from halfopen.pod.watchdog import Death, Probe, Reason, Rule


class Hold:
    """Whether the verdicts of a pod's watchdogs are held back; may be changed at any time, from any thread."""

    def __init__(self) -> None:
        self._held = threading.Event()
        self._taken = threading.Event()

    @property
    def is_held(self) -> bool:
        """Whether they are now."""
        return self._held.is_set()

    def take(self) -> None:
        """Called by the detector that heeds it: the library's keepalive and the kernel's timers cannot."""
        self._taken.set()

    def hold(self) -> None:
        """Hold them back, if the detector can; its log says which."""
        if self._taken.is_set():
            self._held.set()
            log("watchdog_held")
        else:
            log("watchdog_cannot_be_held")

    def release(self) -> None:
        """Let them go on: who is dead now is ended at the next look, who has come back to life is not."""
        self._held.clear()
        log("watchdog_released")


class HeldStall:
    """A rule of :class:`halfopen.pod.watchdog.Watchdog`, by which nobody is dead as long as it is held."""

    def __init__(self, rule: Rule, grace: float, hold: Hold, session: str) -> None:
        """``grace`` in seconds; ``session`` is what the log calls it."""
        self._rule, self._grace, self._hold, self._session = rule, grace, hold, session
        self._told = False

    @property
    def reason(self) -> Reason:
        """The rule's own."""
        return self._rule.reason

    def stalled_for(self, seen: Probe, now: float) -> float:
        """As the rule says, short of the grace while it is held."""
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
    """The rule of :mod:`halfopen.pod.liveness`, by which nobody is dead as long as it is held."""

    __slots__ = ("_hold", "_session", "_told")

    def __init__(self, terms: Terms, now: float, hold: Hold, session: str) -> None:
        super().__init__(terms, now)
        self._hold, self._session = hold, session
        self._told = False

    def look(self, seen: Fields, now: float) -> Death | None:
        """As the rule says, but that one whose end nobody has seen yet is left alone while it is held."""
        death = super().look(seen, now)
        if death is not None and (death.reason == "peer_closed" or not self._hold.is_held):
            return death
        self._told = _tell(self._session, death, self._told)
        return None


def _tell(session: str, death: Death | None, told: bool) -> bool:
    """Log a verdict that is held back, and that it no longer holds; gives whether one is held back now."""
    if death is not None and not told:
        log("verdict_held", session=session, **death._asdict())
    if death is None and told:
        log("verdict_dropped", session=session)
    return death is not None
