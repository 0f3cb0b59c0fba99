"""Reads the server's threads and asks for its sessions, when the hold begins and again after each change."""

from __future__ import annotations

import math

from halfopen.errors import FaultError
from halfopen.model.journal import Journal
from halfopen.repro.counters import History
from halfopen.repro.view import Stacks
from halfopen.results import words
from halfopen.run.session import Session
from halfopen.thread_dump import ThreadsError, dump

#: While no thread is seen waiting for another, take the stacks again at this interval, for this long (seconds). A
#: keepalive waits for a lock only once its ping is due.
_STACKS_AGAIN, _STACKS_UNTIL = 1.0, 30.0
#: Shorter standstills are no stall, seconds.
_STILL = 0.5
#: Seconds from a keepalive's due ping until it waits.
_PING_TAKES = 0.2
#: Seconds for an event or action to settle. After that, the server is asked again.
_SETTLED = 0.5


class Inspector:
    """Inspects a server. Times are seconds since the session's start."""

    def __init__(self, session: Session, journal: Journal, history: History, ping: float | None) -> None:
        """``ping`` is the interval of the pod's keepalive, None if it is not known."""
        self._session, self._journal, self._history, self._ping = session, journal, history, ping
        self._since: float | None = None
        self._again_at: float | None = None
        self.stacks: Stacks | None = None
        self.status = ""

    def begin(self, now: float, *, is_over: bool) -> None:
        """Ask for the first time.

        If the session is over, ask only for the server's sessions, and again once that has settled.
        """
        self._since = now
        self.ask(now)
        if is_over:
            self.changed(now)
        else:
            self.take_stacks(now)

    def changed(self, now: float) -> None:
        """Ask again once the change has settled, since the earlier answers may be out of date."""
        if self._since is not None:
            self._since = now
            self._again_at = now + _SETTLED

    def step(self, now: float, *, is_over: bool) -> None:
        """Ask what is due."""
        if self._again_at is not None:
            if now >= self._again_at:
                self._again_at = None
                self.take_stacks(now)
                self.ask(now)
        elif not is_over and self._stacks_due(now):
            self.take_stacks(now)

    def has_settled(self, now: float, *, is_over: bool) -> bool:
        """True if nothing is left to ask.

        The stacks then show a waiting thread and its lock's holder, or were taken for long enough.
        """
        return self._again_at is None and (is_over or not self._wants_stacks(now))

    def take_stacks(self, now: float) -> None:
        """Take the stacks of the process that holds the session's socket."""
        last = self._journal.last_sample()
        try:
            # A server may have several processes, and the one that was started may serve nobody.
            holders = self._session.server.site.host.holders(last.inode) if last is not None and last.inode else []
            self.stacks = Stacks(now, dump(holders[0] if holders else self._session.server.pid))
        except FaultError:  # the text of a FaultError speaks of a fault
            self.stacks = Stacks(now, None, "not available: the lab cannot see the processes of a container")
        except ThreadsError as error:
            self.stacks = Stacks(now, None, f"not available: {error}")

    def ask(self, now: float) -> None:
        """Ask the server for its sessions."""
        self.status = words.status(self._session.watch.ask(), now)

    def _wants_stacks(self, now: float) -> bool:
        # If bytes move, there is nothing to wait for.
        still = self._history.still_since
        if self._since is None or still is None or now - still < _STILL or now - self._since > _STACKS_UNTIL:
            return False
        return self.stacks is None or not (self.stacks.shows_waiting or not self.stacks.shows_frames)

    def _stacks_due(self, now: float) -> bool:
        if not self._wants_stacks(now) or self.stacks is None or self._since is None:
            return False
        again = self.stacks.at + _STACKS_AGAIN
        if self._ping is not None:
            # The pod's keepalive waits for nothing before its next ping is due.
            again = max(again, math.ceil(self._since / self._ping) * self._ping + _PING_TAKES)
        return now >= again
