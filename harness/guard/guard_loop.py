"""Poll a server's connections, and end those of dead clients. The guard's only place with a clock."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence

from halfopen.guard.decision import Guard, GuardVerdict
from halfopen.guard.guard_log import GuardLog
from halfopen.guard.guarded_server import GuardedServer
from halfopen.guard.socket_ender import SocketEnder
from halfopen.netns import bug_report
from halfopen.netns.census import Census, RawSample
from halfopen.netns.lab_errors import LabError

#: Up to so many sessions, each poll reads all of them.
_FEW = 500
#: Else every so-manieth poll does, so that their rules know each client's window and its last word.
_WHOLE_EVERY = 8
#: Kinds of trouble that are reported.
_MOST_TROUBLES = 100


class GuardLoop:
    """All that a guard does, a step at a time."""

    def __init__(
        self,
        census: Census,
        server: GuardedServer,
        guard: Guard,
        ender: SocketEnder,
        log: GuardLog,
        *,
        poll: float,
        is_dry: bool,
    ) -> None:
        """``poll`` is in seconds. ``is_dry``: report only."""
        self._census, self._server, self._guard, self._ender, self._log = census, server, guard, ender, log
        self._poll, self._is_dry = poll, is_dry
        self._next = time.monotonic()
        self._number = 0
        self.sessions = 0
        """Number of sessions at the last poll."""
        self._named: frozenset[int] = frozenset()
        self._troubles: set[str] = set()
        guard.on_brake = log.brake

    def step(self) -> float:
        """Do what is due now, and return the time of the next step, seconds of the monotonic clock.

        It raises nothing: a server must not end because its guard fails. Failures are reported once.
        """
        try:
            self._step(time.monotonic())
            return min(self._next, max(self._guard.due, time.monotonic()))
        except (OSError, LabError) as error:
            self._trouble(f"a poll failed, and the guard goes on: {error}", str(error))
            self._begin_again()
        except Exception as error:  # noqa: BLE001 (a bug of ours; the server must go on)
            kind = f"{type(error).__name__}: {error}"
            if kind not in self._troubles:
                self._trouble(f"a poll failed, and the guard goes on: {bug_report.sentence(error)}", kind)
            self._begin_again()
        return self._next

    def _begin_again(self) -> None:
        # Without a free descriptor the old socket has to do.
        with contextlib.suppress(OSError):
            self._census.reopen()

    def _step(self, now: float) -> None:
        if now < self._next:
            self._act(self._guard.follow_urgent(self._census.reread(self._guard.urgent(now)), now))
            return
        self._next += self._poll
        if self._next <= now:  # after a pause of this process or its machine, polls are not made up for
            self._next = now + self._poll
        is_periodic = self._number % _WHOLE_EVERY == 0
        is_whole = is_periodic or self.sessions <= _FEW
        self._number += 1
        self._server.survey(is_thorough=is_periodic)
        self._name_ports()
        polled = self._census.poll(self._server.ports, whole=is_whole)
        self.sessions = polled.states.get("ESTABLISHED", 0) + polled.states.get("CLOSE_WAIT", 0)
        samples = [seen for seen in polled.samples if self._counts(seen)]
        self._act(self._guard.follow(samples, time.monotonic(), sessions=self.sessions, is_whole=is_whole))

    def _counts(self, seen: RawSample) -> bool:
        # The kernel's remains of a connection that the server has closed can only be destroyed.
        return (bool(seen.inode) or "sock_destroy" in self._ender.means) and self._server.covers(seen)

    def _act(self, verdicts: Sequence[GuardVerdict]) -> None:
        if not verdicts:
            return
        if self._is_dry:
            for verdict in verdicts:
                self._log.result(self._ender.find(verdict), is_dry=True)
                self._guard.reported(verdict)
            return
        for result in self._ender.end(verdicts):
            if result.means is not None:
                self._guard.ended(result.verdict, time.monotonic())
                self._log.result(result)
            elif result.is_forbidden:
                text = f"a dead client's connection of process {result.pid} is left alone: {result.why_not}"
                self._trouble(text, result.why_not)

    def _name_ports(self) -> None:
        ports = frozenset(self._server.ports)
        if ports - self._named:
            listed = ", ".join(map(str, sorted(ports)))
            self._log.note("guarding", f"guarding connections of port {listed}", ports=sorted(ports))
        self._named = ports

    def _trouble(self, text: str, kind: str) -> None:
        """Report the first trouble of its kind."""
        if kind not in self._troubles and len(self._troubles) < _MOST_TROUBLES:
            self._troubles.add(kind)
            self._log.note("trouble", text)
