"""The server's threads and its own view of the session. Asked when the hold begins, and again after each change."""

from __future__ import annotations

import math

from halfopen.errors import FaultError
from halfopen.model.journal import Journal
from halfopen.repro import words
from halfopen.repro.counters import History
from halfopen.repro.look import Stacks
from halfopen.run.session import Session
from halfopen.thread_dump import ThreadsError, dump

#: While no thread is seen waiting for another, take the stacks again at this interval, for this long (seconds). A
#: keepalive waits for a lock only once its ping is due.
_STACKS_AGAIN, _STACKS_UNTIL = 1.0, 30.0
#: Shorter standstills are no stall, seconds.
_STILL = 0.5
#: Seconds from a keepalive's due ping until it waits.
_UNDER_WAY = 0.2
#: Seconds for an event or action to settle. After that, the server is asked again.
_SETTLED = 0.5


class Inquiry:
    """Ask a server, from within and from without. Times are seconds since the session's start."""

    def __init__(self, session: Session, journal: Journal, history: History, ping: float | None) -> None:
        """``ping`` is the interval of the pod's keepalive, None if it is not known."""
        self._session, self._journal, self._history, self._ping = session, journal, history, ping
        self._since: float | None = None
        self._anew_at: float | None = None
        self.stacks: Stacks | None = None
        self.books = ""

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
        """True if nothing is left to ask.

        The stacks then show a waiting thread and its lock's holder, or were taken for long enough.
        """
        return self._anew_at is None and (is_over or not self._wants_stacks(now))

    def take_stacks(self, now: float) -> None:
        """Take the stacks of the server's threads."""
        self.stacks = _stacks(self._session, self._journal, now)

    def ask(self, now: float) -> None:
        """Ask the server for its sessions."""
        self.books = words.books(self._session.watch.ask(), now)

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
            again = max(again, math.ceil(self._since / self._ping) * self._ping + _UNDER_WAY)
        return now >= again


def _stacks(session: Session, journal: Journal, now: float) -> Stacks:
    """Return the stacks of the process that holds the session's socket.

    ``now`` is seconds since the session's start.
    """
    last = journal.last_sample()
    try:
        # A server may have several processes, and the one that was started may serve nobody.
        holders = session.server.site.host.holders(last.inode) if last is not None and last.inode else []
        return Stacks(now, dump(holders[0] if holders else session.server.pid))
    except FaultError:  # the text of a FaultError speaks of a fault
        return Stacks(now, None, "not to be had: the server's process is a container's, out of the lab's sight")
    except ThreadsError as error:
        return Stacks(now, None, f"not to be had: {error}")
