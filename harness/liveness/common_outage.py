"""Spare clients that all went dark together: most likely it is the server that is cut off, not they. Pure.

A session went dark somewhere between the last word of its client and the first question that stayed unanswered. If
there is a moment that lies in this interval for more than half of all sessions, and for at least three, they went dark
at once. One cause is likelier than many: the server's uplink, or a link before most of its clients.

While it lasts, their verdict ``unreachable`` waits until darkness is proved for a ``common_outage`` instead of an
``outage``. Once most of them have answered it is over, and all others are asked once more. Retransmissions are far
apart, so the path of most of those has healed too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from halfopen.liveness.rule import Darkness, Terms
from halfopen.liveness.schedule import TURNS

_LOG = logging.getLogger("halfopen.liveness")

#: Fewest sessions that make a common outage. Two clients may well die at once: of one household, say.
FEWEST = 3
_EPSILON = 1e-6


class CommonOutageReport(NamedTuple):
    """The begin or the end of a common outage. Its text is a sentence for a log."""

    phase: Literal["held", "over", "expired"]
    """Verdicts are held back from now on; most clients have answered; they were dark for as long as is survived."""
    dark: int
    """Number of sessions that went dark at once and still are."""
    watched: int
    """Number of all sessions."""
    dark_s: float
    """Seconds since they went dark."""
    common_outage_s: float
    """Seconds of darkness that are survived."""

    def __str__(self) -> str:
        sessions = f"{self.dark} of {self.watched} sessions"
        if self.phase == "held":
            return (
                f"{sessions} went dark at once {self.dark_s:.1f} s ago, as if this server's own uplink were out; "
                f"they are not ended before they have been dark for {self.common_outage_s:.1f} s"
            )
        if self.phase == "over":
            return f"the common outage is over after {self.dark_s:.1f} s; {sessions} are still dark"
        return (
            f"{sessions} have been dark since all went dark at once {self.dark_s:.1f} s ago; they are ended from now on"
        )


class CommonOutage:
    """Decides for all sessions of one server. ``now`` is always in seconds of the monotonic clock."""

    def __init__(self, terms: Terms, sessions: Callable[[], Sequence[Darkness | None]]) -> None:
        """``sessions`` returns the darkness of each watched session."""
        self._bound = terms.longest_common_outage
        self._is_possible = self._bound > terms.longest_outage
        self._poll = terms.poll
        self._sessions = sessions
        self.on_change: Callable[[CommonOutageReport], object] | None = None
        """Called when verdicts begin to be held back, and when that ends. It must not block."""
        self._moment: float | None = None
        """The moment at which the sessions of the present or last outage went dark."""
        self._over_at: float | None = None
        self._counted_at: float | None = None
        self._peak: tuple[float, int, int] = (0.0, 0, 0)
        """The likeliest moment of another one; the number of sessions that went dark then, and of all."""

    @property
    def in_progress(self) -> bool:
        """True while verdicts are held back."""
        return self._moment is not None and self._over_at is None

    def spares(self, session: Darkness | None, now: float) -> bool:
        """True if the verdict ``unreachable`` on a session must wait. Call it again at each poll that has one."""
        if session is None or not self._is_possible:
            return False
        if self.in_progress:
            self.review(now)
        elif self._over_at is None or session.first_asked > self._over_at:
            self._begin(session, now)
        if self._moment is None or not self._is_part(session):
            return False
        if session.last_asked - session.first_asked >= self._bound - _EPSILON:
            self._end("expired", now)
            return False
        return self._over_at is None or session.last_asked <= self._over_at

    def review(self, now: float) -> None:
        """See if it is over, at most once a poll. Call it after polls, or nobody may notice its end."""
        if self.in_progress and not self._is_recent(now, self._poll):
            self._counted_at = now
            dark, watched = self._count()
            if 2 * dark <= watched:
                self._end("over", now, dark, watched)

    def close(self, now: float) -> None:
        """Report that it is over because no session is left."""
        if self.in_progress:
            self._end("over", now, 0, 0)

    def _is_recent(self, now: float, interval: float) -> bool:
        return self._counted_at is not None and now - self._counted_at < interval - _EPSILON

    def _is_part(self, session: Darkness) -> bool:
        assert self._moment is not None
        return session.heard_at - self._poll <= self._moment <= session.first_asked + self._poll

    def _count(self) -> tuple[int, int]:
        """Return the number of its sessions that are still dark, and of all sessions."""
        assert self._moment is not None
        sessions = self._sessions()
        # As in _is_part, for ten thousand of them.
        latest, earliest = self._moment + self._poll, self._moment - self._poll
        dark = [seen for seen in sessions if seen is not None and seen[0] <= latest and seen[1] >= earliest]
        return len(dark), len(sessions)

    def _begin(self, session: Darkness, now: float) -> None:
        """Begin another one if a session that would be ended went dark together with most."""
        # When many die at once, each of them comes here.
        if not self._is_recent(now, self._poll / TURNS):
            self._counted_at = now
            self._peak = self._find_peak()
        moment, dark, watched = self._peak
        if dark < FEWEST or 2 * dark <= watched:
            return
        if session.heard_at - self._poll <= moment <= session.first_asked + self._poll:
            self._moment, self._over_at = moment, None
            self._report(CommonOutageReport("held", dark, watched, now - moment, self._bound))

    def _find_peak(self) -> tuple[float, int, int]:
        """Return the moment at which most went dark, their number, and that of all sessions."""
        sessions = self._sessions()
        # Those of an outage that is over are no evidence for another one.
        since = self._over_at
        dark = [seen for seen in sessions if seen is not None and (since is None or seen.first_asked > since)]
        if 2 * len(dark) <= len(sessions):
            return 0.0, 0, len(sessions)
        bounds = [(seen.heard_at - self._poll, -1) for seen in dark]
        bounds += [(seen.first_asked + self._poll, 1) for seen in dark]
        bounds.sort()
        count, most, moment = 0, 0, 0.0
        for position, (at, change) in enumerate(bounds):
            count -= change
            if count > most:
                # The middle of the time that is common to all of them, which ends at the next bound.
                most, moment = count, (at + bounds[position + 1][0]) / 2
        return moment, most, len(sessions)

    def _end(self, phase: Literal["over", "expired"], now: float, dark: int = 0, watched: int = 0) -> None:
        if not self.in_progress:
            return
        assert self._moment is not None
        if phase == "expired":
            dark, watched = self._count()
        self._over_at, self._counted_at = now, None
        self._report(CommonOutageReport(phase, dark, watched, now - self._moment, self._bound))

    def _report(self, report: CommonOutageReport) -> None:
        _LOG.warning("%s", report)
        if self.on_change is not None:
            try:
                self.on_change(report)
            except Exception:  # noqa: BLE001 (the connections must still be polled)
                _LOG.exception("on_change failed; the watcher goes on")
