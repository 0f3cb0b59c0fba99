"""End the connection of a verdict and no other.

Between verdict and action the server may close the connection and reuse its descriptor. So the descriptor is duplicated
first (pidfd_getfd(2)), and everything is asked of the duplicate: its cookie, which no other socket ever has, and its
counters, which must not have moved. A duplicate stays the same socket, whatever the server does.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

from halfopen.guard.decision import GuardVerdict
from halfopen.guard.guarded_server import GuardedServer, Holder
from halfopen.guard.session_rules import has_moved
from halfopen.liveness.death import end
from halfopen.liveness.descriptor import cookie
from halfopen.liveness.reading import Reading, read
from halfopen.netns import processes
from halfopen.netns.census import Census
from halfopen.netns.lab_errors import LabError

_LOG = logging.getLogger("halfopen.guard")

Means = Literal["duplicate", "sock_destroy"]
"""The way in which a connection is ended: through a duplicate of its descriptor, or by SOCK_DESTROY (sock_diag(7))."""


class EndResult(NamedTuple):
    """The result of one verdict."""

    verdict: GuardVerdict
    means: Means | None
    """None if nothing was done."""
    why_not: str = ""
    """The reason why nothing was done."""
    is_forbidden: bool = False
    """True if nothing was done because the kernel does not permit it."""
    pid: int | None = None
    """The process that holds the connection; None if none was found."""
    process: str | None = None
    """Its name."""


class SocketEnder:
    """Ends connections of one server."""

    def __init__(self, census: Census, server: GuardedServer, means: Sequence[Means]) -> None:
        """``means``: the permitted ones, in the order in which they are tried; none: only find the holders."""
        self._census, self._server = census, server
        self.means = means

    def end(self, verdicts: Sequence[GuardVerdict]) -> list[EndResult]:
        """End the connection of each verdict, unless it has moved or is no longer the same."""
        holders = self._server.holders(verdict.seen.inode for verdict in verdicts if verdict.seen.inode)
        results = [self._named(verdict, holders, self._end) for verdict in verdicts]
        for result in results:
            if result.why_not:
                _LOG.debug("%s is left alone: %s", result.verdict.seen.sample.remote, result.why_not)
        return results

    def find(self, verdict: GuardVerdict) -> EndResult:
        """Only find the process that holds the connection of a verdict."""
        holders = self._server.holders([verdict.seen.inode] if verdict.seen.inode else [])
        return self._named(verdict, holders, lambda *_: EndResult(verdict, None, "only reported"))

    @staticmethod
    def _named(
        verdict: GuardVerdict,
        holders: Mapping[int, list[Holder]],
        act: Callable[[GuardVerdict, list[Holder]], EndResult],
    ) -> EndResult:
        """Do it, and add the holder to its result. Its name is read before: it may end with the connection."""
        own = holders.get(verdict.seen.inode, []) if verdict.seen.inode else []
        pid = own[0].pid if own else None
        name = None
        if pid is not None:
            with contextlib.suppress(LabError, OSError):
                name = processes.name(pid)
        result = act(verdict, own)
        return result._replace(pid=result.pid or pid, process=name)

    def _end(self, verdict: GuardVerdict, own: list[Holder]) -> EndResult:
        result = EndResult(verdict, None, "no process of the server holds it")
        if "duplicate" in self.means:
            for holder in own:
                result = _end_duplicate(verdict, holder)
                if not result.is_forbidden:
                    return result
        if "sock_destroy" in self.means and (own or not verdict.seen.inode or self._server.is_any):
            return self._destroy(verdict)
        return result

    def _destroy(self, verdict: GuardVerdict) -> EndResult:
        """End it by its addresses and its cookie, which the kernel compares (sock_diag_check_cookie)."""
        again = self._census.reread([verdict.seen])
        if not again:
            return EndResult(verdict, None, "it has ended by itself")
        if has_moved(verdict.death, verdict.reading, Reading.of(again[0].info)):
            return EndResult(verdict, None, "it has moved since")
        try:
            is_ended = self._census.destroy(verdict.seen.sample)
        except OSError as error:
            return EndResult(verdict, None, f"SOCK_DESTROY: {error.strerror}", is_forbidden=True)
        return EndResult(verdict, "sock_destroy") if is_ended else EndResult(verdict, None, "it has ended by itself")


def _end_duplicate(verdict: GuardVerdict, holder: Holder) -> EndResult:
    try:
        with processes.duplicated(*holder) as duplicate:
            why_not = _difference(verdict, duplicate)
            if why_not:
                return EndResult(verdict, None, why_not)
            end(duplicate, "reset")
            return EndResult(verdict, "duplicate", pid=holder.pid)
    except PermissionError as error:
        return EndResult(verdict, None, f"pidfd_getfd: {error.strerror}", is_forbidden=True, pid=holder.pid)
    except OSError as error:
        # The process, or its descriptor, is gone; or it is no socket any more.
        why_not = f"descriptor {holder.number} of process {holder.pid}: {error.strerror}"
        return EndResult(verdict, None, why_not, is_forbidden=error.errno == errno.ENOSYS)


def _difference(verdict: GuardVerdict, duplicate: socket.socket) -> str:
    """Return the reason why this is not the connection of the verdict any more; empty if it is."""
    with contextlib.suppress(OSError):
        if cookie(duplicate) == verdict.seen.key:
            now = Reading._make(read(duplicate))
            return "it has moved since" if has_moved(verdict.death, verdict.reading, now) else ""
    return "its descriptor is another socket's by now"
