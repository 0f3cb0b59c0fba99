"""Watch a session until a given moment, and poll the target's status."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from halfopen.model.journal import Journal
from halfopen.run.client_process import ClientProcess
from halfopen.run.progress import RunView
from halfopen.run.server_processes import accepting, is_gone
from halfopen.targets.base import ANSWER_WITHIN, Caller, Running, Status

#: Seconds between polls of the target's status: until its list shows the session, and after.
_ASK_UNTIL_LISTED = 1.0
_ASK_LATER = 10.0
#: Seconds between checks that the server still runs. The end of the session wakes the wait at once.
_LOOK_INTERVAL = 1.0
#: Seconds between polls of a target whose session just ended.
_SETTLE_INTERVAL = 0.1
#: Seconds to watch after the session ended. At least so long, to see what the kernel still holds. At most so long, for
#: the target to release the socket and update its status: websockets waits 10 s for the answer to a close frame.
_SETTLE_AT_LEAST = 1.0
_SETTLE_AT_MOST = 12.0
#: Questions to a server with several workers, for each of them. That one of four answers none of 32 has a chance of
#: one in ten thousand.
_QUESTIONS_A_WORKER = 8
#: Fields of a status that say nothing about one client among several.
_OF_ONE_CLIENT = frozenset({"lock_held", "session_threads"})
#: Rounds of questions to several workers in which none lists a session that is over.
_ROUNDS = 3


@dataclass
class Stop:
    """A stop request shared by all runs."""

    requested: bool = False


class Stopped(Exception):  # noqa: N818 (not an error)
    """Raised in a run that was asked to end early."""


class Observer:
    """Watches a session until a given moment, and polls the target's status."""

    def __init__(
        self,
        journal: Journal,
        client: ClientProcess,
        server: Running,
        caller: Caller,
        view: RunView,
        stop: Stop,
    ) -> None:
        self._journal = journal
        self._client = client
        self._server = server
        self._caller = caller
        self.view = view
        self._stop = stop
        self._ask_at = 0.0
        self._workers = 0
        self.others: list[Observer] = []
        """Those of the other clients of the scenario, whose sessions the same answers concern."""
        self.has_company = False
        """True if the server has other clients too: its seat and its threads are not this client's alone."""
        self._said: dict[str, Any] = {}
        """The last answer."""
        self._while_alone: dict[str, Any] = {}
        """Its seat and its threads in the last answer before the other clients came."""

    def until(self, moment: float) -> bool:
        """Watch until ``moment`` of the monotonic clock. Return True at once when the session has ended."""
        self._watch(moment, self._ended)
        return self._ended()

    def past_the_end(self, moment: float) -> None:
        """Watch until ``moment`` of the monotonic clock, though the session is over, or until the server is gone."""
        self._watch(moment, lambda: is_gone(self._server))

    def _watch(self, moment: float, is_over: Callable[[], bool]) -> None:
        while time.monotonic() < moment:
            if self._stop.requested:
                raise Stopped
            if is_over():
                return
            # A target may be slow to answer, and a fault that is due does not wait for it.
            if time.monotonic() >= self._ask_at and moment - time.monotonic() > ANSWER_WITHIN:
                self.ask()
            self._journal.wait(is_over, min(moment, time.monotonic() + _LOOK_INTERVAL))

    def _ended(self) -> bool:
        last = self._journal.last_sample()
        if last is not None:
            self.view.queued = last.outq
        elif self._journal.find("client", "ended") is not None:
            return True  # it ended before its socket was sampled
        return self._journal.session_ended or is_gone(self._server)

    def ask(self) -> dict[str, object]:
        """Poll the target's status now. Return what it reported."""
        answers = self._answers()
        data = self.note(answers)
        others = [other.note(answers, self._workers) for other in self.others if not other.is_over]
        are_listed = all(data.get("listed") for data in (data, *others))
        self._ask_at = time.monotonic() + (_ASK_LATER if are_listed else _ASK_UNTIL_LISTED)
        return data

    @property
    def is_over(self) -> bool:
        """True if the server's side of the session has ended."""
        return self._journal.session_ended

    def note(self, answers: Sequence[Status], workers: int | None = None) -> dict[str, Any]:
        """Note what the answers say about this client."""
        self._workers = self._workers if workers is None else workers
        data = self._said = self._merged(answers)
        if self.has_company:
            data = {key: value for key, value in data.items() if key not in _OF_ONE_CLIENT} | self._while_alone
        if data:
            self._journal.note("registry", "status", **data)
        return data

    def _answers(self) -> list[Status]:
        """Query the status, and several times if each worker of the server may have one of its own."""
        until = time.monotonic() + ANSWER_WITHIN
        answers = [self._server.status()]
        if answers[0].sessions is None:
            return answers
        # Counted each time, since a server may listen before it has started its workers.
        self._workers = len(accepting(self._server.site))
        wanted = _QUESTIONS_A_WORKER * self._workers if self._workers > 1 else 1
        while len(answers) < wanted and time.monotonic() < until:
            answers.append(self._server.status())
        return answers

    def _merged(self, answers: Sequence[Status]) -> dict[str, Any]:
        """Return all answers as one. A session is listed if any answer lists it."""
        good = [answer for answer in answers if answer.problem is None] or answers
        data = good[-1].as_data()
        listed = [self._server.session_listed(answer, self._caller) for answer in good]
        if listed[-1] is not None:
            data["listed"] = any(listed)
            if len(good) > 1:
                data |= {"answers": len(good), "listing": listed.count(True), "workers": self._workers}
        return data

    def expect_company(self) -> None:
        """Settle before other clients come, after which an answer no longer concerns this client alone."""
        self._let_books_follow()
        if not self.has_company:
            self._while_alone = {key: value for key, value in self._said.items() if key in _OF_ONE_CLIENT}
            self.has_company = True

    def settle(self) -> None:
        """After the end: watch what lingers in the kernel, and wait for the target's own status to follow."""
        try:
            self._let_books_follow()
        finally:
            if is_gone(self._server):
                code, said = self._server.process.exit_code, self._server.process.tail()
                self._journal.note("target", "exited", at=self._exited_at(), code=code, said=said)
        code = self._client.process.exit_code
        if code is not None and code > 0:  # a signal gives a negative code, and may come from a fault
            output = self._journal.find_last("client", "output")
            said = output.data["text"] if output is not None else self._client.process.tail()
            self._journal.note("lab", "trouble", what=f"the client failed with exit code {code}: {said}")

    def _exited_at(self) -> float | None:
        ended = self._journal.find("target", "launcher_ended")
        return None if ended is None else ended.t

    def _let_books_follow(self) -> None:
        if not self._ended():
            self.ask()
            return
        self.view.phase = "settling"
        least = time.monotonic() + _SETTLE_AT_LEAST
        most = time.monotonic() + _SETTLE_AT_MOST
        rounds = 0
        while time.monotonic() < most:
            data = self.ask()
            lingers = self._held() or data.get("listed") or data.get("lock_held") or data.get("session_threads")
            # A worker that is busy answers less often than the others.
            rounds = 0 if lingers else rounds + 1
            followed = rounds >= (_ROUNDS if "answers" in data else 1)
            # Do not poll again once the target has let go, but still watch what the kernel holds.
            self._journal.wait(lambda: False, least if followed else time.monotonic() + _SETTLE_INTERVAL)
            if followed:
                return

    def _held(self) -> bool:
        """True if the server's processes still hold the socket."""
        last = self._journal.last_sample()
        return last is not None and bool(last.inode) and not self._journal.has_released
