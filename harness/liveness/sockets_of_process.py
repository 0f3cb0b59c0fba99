"""The TCP connections that this process has accepted, found among its descriptors (/proc/self/fd, proc(5))."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import stat
from pathlib import Path

from halfopen.liveness.descriptor import BorrowedSocket

with contextlib.suppress(ImportError):  # off Linux, where no code that needs it runs
    import resource

_LOG = logging.getLogger("halfopen.liveness")

_DESCRIPTORS = Path("/proc/self/fd")
# include/net/tcp_states.h
_CLOSED, _LISTENING = 7, 10
#: Complete scans without a listener after which something is wrong.
_PATIENCE = 5


class AcceptedSockets:
    """Finds each connection once, whoever accepted it: any library, also one that is not written in Python."""

    def __init__(self, port: int | None) -> None:
        """``port``: of the listener; None: any. Raises ValueError if the descriptors cannot be listed."""
        self._port = port
        self._listening: set[int] = set()
        self._known: dict[int, int] = {}
        """Descriptors that need no second examination, with their inodes."""
        self._rest: list[int] = []
        self._part = 0
        self._scans = 0
        if not _DESCRIPTORS.is_dir():
            raise ValueError(f"watch_listener: {_DESCRIPTORS} is not there; mount /proc, or watch each connection")

    def scan_part(self, parts: int) -> list[BorrowedSocket]:
        """Examine one of so many parts of the descriptors; returns connections that were not returned before."""
        if not self._rest:
            self._begin(parts)
        now, self._rest = self._rest[: self._part], self._rest[self._part :]
        return [sock for descriptor in now if (sock := self._examine(descriptor)) is not None]

    def _begin(self, parts: int) -> None:
        if self._scans == _PATIENCE and not self._listening:
            where = "" if self._port is None else f" on port {self._port}"
            _LOG.warning("watch_listener: nothing in this process listens%s; dead clients stay", where)
        self._scans += 1
        self._rest = _descriptors()
        self._known = {descriptor: self._known[descriptor] for descriptor in self._rest if descriptor in self._known}
        self._part = -(-len(self._rest) // parts)

    def _examine(self, descriptor: int) -> BorrowedSocket | None:
        """Return the connection of a descriptor if it is a new one of the listener."""
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISSOCK(status.st_mode) or self._known.get(descriptor) == status.st_ino:
                return None
            sock = BorrowedSocket(descriptor)
            state = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] if sock.is_tcp() else None
            port = sock.getsockname()[1] if state is not None else None
        except OSError:  # closed meanwhile
            return None
        if state == _CLOSED:  # it may yet listen or connect
            return None
        if state == _LISTENING and self._port in (None, port) and port is not None and port not in self._listening:
            self._listening.add(port)
            self._known.clear()  # it may have accepted some of them
        self._known[descriptor] = status.st_ino
        is_accepted = state not in (None, _LISTENING) and port in self._listening
        return sock if is_accepted else None


def _descriptors() -> list[int]:
    """Return the numbers of this process's descriptors."""
    try:
        return sorted(int(entry.name) for entry in _DESCRIPTORS.iterdir())
    except OSError:  # no number is free to list the others with: all are in use (EMFILE)
        return list(range(resource.getrlimit(resource.RLIMIT_NOFILE)[0]))
