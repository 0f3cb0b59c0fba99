"""A held watchdog: it observes and decides, but acts on nothing until it is released.

With it a wedged session can be observed for longer than the watchdog would allow (``halfopen repro``).
"""

from __future__ import annotations

from halfopen.liveness.reading import Fields
from halfopen.liveness.rule import Rule as LivenessRule
from halfopen.liveness.rule import Terms
from halfopen.pod.log import log
from halfopen.pod.watchdog import Death, Probe, WatchdogRule


class Hold:
    """Holds back the verdicts of a pod's watchdogs; may be changed at any time, from any thread."""

    def __init__(self) -> None:
        self.is_held = False
        self.is_respected = False
        """True if the detector can be held: the library's keepalive and the kernel's timers cannot."""

    def hold(self) -> None:
        """Hold them back, if the detector can; the log records which."""
        self.is_held = self.is_respected
        if self.is_held:
            log("watchdog_held")
        else:
            log("watchdog_cannot_be_held")

    def release(self) -> None:
        """Release them: the next poll ends clients that are dead then, and no client that has recovered."""
        self.is_held = False
        log("watchdog_released")


class _Withheld:
    """The verdict on one session that is held back, if there is one."""

    def __init__(self, hold: Hold, session: str) -> None:
        """``session`` is its name in the log."""
        self._hold, self._session, self._is_logged = hold, session, False

    def spares(self, death: Death | None) -> bool:
        """Return True if this verdict must be held back; the log records when one is, and when it no longer holds."""
        if death is None:
            if self._is_logged:
                log("verdict_dropped", session=self._session)
            self._is_logged = False
            return False
        if not self._hold.is_held:
            return False
        if not self._is_logged:
            log("verdict_held", session=self._session, **death._asdict())
        self._is_logged = True
        return True


class HeldStall:
    """A rule of :class:`halfopen.pod.watchdog.Watchdog` that finds no client dead while it is held."""

    def __init__(self, rule: WatchdogRule, grace: float, hold: Hold, session: str) -> None:
        """``grace`` is in seconds."""
        self._rule, self._grace, self._withheld = rule, grace, _Withheld(hold, session)
        self.reason = rule.reason

    def stalled_for(self, seen: Probe, now: float) -> float:
        """Return the wrapped rule's result, but below the grace while it is held."""
        stall = self._rule.stalled_for(seen, now)
        death = Death(self.reason, seen.outq, stall, seen.state) if stall >= self._grace else None
        return 0.0 if self._withheld.spares(death) else stall


class HeldLivenessRule(LivenessRule):
    """The rule of :mod:`halfopen.liveness`, but it finds no client dead while it is held."""

    __slots__ = ("_withheld",)

    def __init__(self, terms: Terms, now: float, hold: Hold, session: str) -> None:
        super().__init__(terms, now)
        self._withheld = _Withheld(hold, session)

    def look(self, seen: Fields, now: float) -> Death | None:
        """Return the rule's verdict. While it is held, only a closed connection counts as dead."""
        death = super().look(seen, now)
        if death is not None and death.reason == "peer_closed":
            return death
        return None if self._withheld.spares(death) else death
