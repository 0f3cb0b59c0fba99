"""Looks at a session until a moment, asking the target for its books now and then."""

from __future__ import annotations

import time
from dataclasses import dataclass

from halfopen.model.journal import Journal
from halfopen.run.client_process import ClientProcess
from halfopen.run.progress import RunView
from halfopen.targets.base import ANSWER_WITHIN, Caller, Running

#: Between questions to a target, seconds: until its list shows the session, and after.
_ASK_UNTIL_LISTED = 1.0
_ASK_LATER = 10.0
#: Between looks at whether the server still runs, seconds; the session's end wakes at once.
_LOOK_INTERVAL = 1.0
#: Between questions to a target whose session just ended, seconds.
_SETTLE_INTERVAL = 0.1
#: A session's end is watched at least so long, for what the kernel keeps of it, seconds. The target gets at most so
#: long to let go of the socket, and its own books to follow: websockets waits 10 s for the answer to a close frame.
_SETTLE_AT_LEAST = 1.0
_SETTLE_AT_MOST = 12.0


@dataclass
class Stop:
    """Shared by all runs: whether they are to end early."""

    requested: bool = False


class Stopped(Exception):  # noqa: N818 (not an error)
    """A run that was asked to end early."""


class Watch:
    """Looks at a session until a moment, asking the target for its books now and then."""

    def __init__(
        self,
        journal: Journal,
        its: ClientProcess,
        server: Running,
        caller: Caller,
        view: RunView,
        stop: Stop,
    ) -> None:
        self._journal = journal
        self._client = its
        self._server = server
        self._caller = caller
        self._view = view
        self._stop = stop
        self._ask_at = 0.0

    def until(self, moment: float) -> bool:
        """Look on until ``moment`` of the monotonic clock; True at once when the session has ended."""
        while time.monotonic() < moment:
            if self._stop.requested:
                raise Stopped
            if self._ended():
                return True
            # A target may take its time to answer, and a fault that is due does not wait for it.
            if time.monotonic() >= self._ask_at and moment - time.monotonic() > ANSWER_WITHIN:
                self.ask()
            self._journal.wait(self._ended, min(moment, time.monotonic() + _LOOK_INTERVAL))
        return self._ended()

    def _ended(self) -> bool:
        last = self._journal.last_sample()
        if last is not None:
            self._view.queued = last.outq
        elif self._journal.find("client", "ended") is not None:
            return True  # before its socket could be seen
        return self._journal.session_ended or self._server.process.exit_code is not None

    def ask(self) -> dict[str, object]:
        """Ask the target for its books now; gives what it said."""
        status = self._server.status()
        listed = self._server.session_listed(status, self._caller)
        data = status.as_data() | ({} if listed is None else {"listed": listed})
        if data:
            self._journal.note("registry", "status", **data)
        self._ask_at = time.monotonic() + (_ASK_LATER if listed else _ASK_UNTIL_LISTED)
        return data

    def settle(self) -> None:
        """After the end: watch what lingers in the kernel, and let the target's own books follow."""
        self._settle()
        code = self._client.process.exit_code
        if code is not None and code > 0:  # a signal's is negative, and may be a fault's doing
            said = self._client.process.tail()
            self._journal.note("lab", "trouble", what=f"the client failed with exit code {code}: {said}")

    def _settle(self) -> None:
        try:
            self._let_books_follow()
        finally:
            code = self._server.process.exit_code
            if code is not None:
                self._journal.note("target", "exited", code=code, said=self._server.process.tail())

    def _let_books_follow(self) -> None:
        if not self._ended():
            self.ask()
            return
        self._view.phase = "settling"
        least = time.monotonic() + _SETTLE_AT_LEAST
        most = time.monotonic() + _SETTLE_AT_MOST
        while time.monotonic() < most:
            data = self.ask()
            followed = not (self._held() or data.get("listed") or data.get("lock_held") or data.get("session_threads"))
            # Nobody is asked again who has let go, and still the kernel is watched for what it keeps.
            self._journal.wait(lambda: False, least if followed else time.monotonic() + _SETTLE_INTERVAL)
            if followed:
                return

    def _held(self) -> bool:
        """Whether the server's processes still hold the socket."""
        last = self._journal.last_sample()
        return last is not None and bool(last.inode) and self._journal.find("kernel", "destroyed", "gone") is None
