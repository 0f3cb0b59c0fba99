"""What the server's threads do and what it says of the session: asked when it is held, and anew when that changed."""

from __future__ import annotations

import math

from halfopen.model.journal import Journal
from halfopen.repro import taking, words
from halfopen.repro.counters import History
from halfopen.repro.look import Stacks
from halfopen.run.session import Session

#: While no thread is seen to wait for another, the stacks are taken again so often, and for so long, seconds: a
#: keepalive only waits for a lock once its ping is due.
_STACKS_AGAIN, _STACKS_UNTIL = 1.0, 30.0
#: What stands still for less is no stall, seconds.
_STILL = 0.5
#: What a keepalive takes from when its ping is due until it waits, seconds.
_UNDER_WAY = 0.2
#: What happened or was done has settled after so long, seconds: then what was known before it is asked anew.
_SETTLED = 0.5


class Inquiry:
    """Asks a server, from within and from without. Times are seconds since the session's start."""

    def __init__(self, session: Session, journal: Journal, history: History, ping: float | None) -> None:
        """``ping``: the interval of the pod's keepalive, None: not known."""
        self._session, self._journal, self._history, self._ping = session, journal, history, ping
        self._since: float | None = None
        self._anew_at: float | None = None
        self.stacks: Stacks | None = None
        self.books = ""

    def begin(self, now: float, *, is_over: bool) -> None:
        """Ask for the first time; of a session that is over only its books, and that anew once it has settled."""
        self._since = now
        self.ask(now)
        if is_over:
            self.changed(now)
        else:
            self.take_stacks(now)

    def changed(self, now: float) -> None:
        """What is known may be so no longer: ask anew once that has settled."""
        if self._since is not None:
            self._since = now
            self._anew_at = now + _SETTLED

    def step(self, now: float, *, is_over: bool) -> None:
        """Ask what is due."""
        if self._anew_at is not None:
            if now >= self._anew_at:
                self._anew_at = None
                self.take_stacks(now)
                self.ask(now)
        elif not is_over and self._stacks_due(now):
            self.take_stacks(now)

    def has_settled(self, now: float, *, is_over: bool) -> bool:
        """Whether the stacks show who waits for whom, or were taken for long enough, and nothing is to be asked."""
        return self._anew_at is None and (is_over or not self._wants_stacks(now))

    def take_stacks(self, now: float) -> None:
        """Look at the server's threads."""
        self.stacks = taking.stacks(self._session, self._journal, now)

    def ask(self, now: float) -> None:
        """Ask the server for its sessions."""
        self.books = words.books(self._session.watch.ask(), now)

    def _wants_stacks(self, now: float) -> bool:
        # Only where nothing moves is there anything to wait for.
        still = self._history.still_since
        if self._since is None or still is None or now - still < _STILL or now - self._since > _STACKS_UNTIL:
            return False
        return self.stacks is None or not (self.stacks.shows_waiting or not self.stacks.shows_frames)

    def _stacks_due(self, now: float) -> bool:
        if not self._wants_stacks(now) or self.stacks is None or self._since is None:
            return False
        again = self.stacks.at + _STACKS_AGAIN
        if self._ping is not None:
            # Before its next ping is due the pod's keepalive waits for nothing.
            again = max(again, math.ceil(self._since / self._ping) * self._ping + _UNDER_WAY)
        return now >= again
