"""The process of a test's lab: ``python -P -m halfopen.testing.worker``, controlled over its pipes.

It enters namespaces of its own, so that pytest, which may have threads, need not. It ends when its standard input
closes, so nothing outlives a pytest that is killed.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from typing import IO

import msgspec

from halfopen.errors import FaultError, InputError
from halfopen.netns import capabilities, isolation
from halfopen.netns.lab import Lab
from halfopen.netns.lab_errors import IsolationError, LabError
from halfopen.testing import messages
from halfopen.testing.messages import Opened, Opening, Reply, RequestRefused
from halfopen.testing.pytest_lab import PytestLab


class _Requests:
    """Requests, read by a thread of their own, since the end of input must be noticed in the middle of a wait."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._main = threading.get_ident()
        self._lock = threading.Lock()
        self._busy = False
        threading.Thread(target=self._read, name="requests", daemon=True).start()

    def next(self) -> bytes:
        """Return the next line; empty at the end."""
        with self._lock:
            self._busy = False
        line = self._lines.get()
        with self._lock:
            self._busy = bool(line)
        return line

    def _read(self) -> None:
        for line in self._stream:
            self._lines.put(line)
        self._lines.put(b"")
        with self._lock:
            if self._busy:
                signal.pthread_kill(self._main, signal.SIGINT)


def main() -> int:
    """Be the lab of one test until there are no more requests."""
    # Other output of this process must not be taken for a reply.
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def tell(reply: Reply) -> None:
        replies.write(msgspec.json.encode(reply) + b"\n")
        replies.flush()

    def work() -> int:
        requests = _Requests(sys.stdin.buffer)
        opening = msgspec.json.decode(requests.next(), type=Opening)
        with Lab() as lab, _opened(lab, opening, tell) as pytest_lab:
            while line := requests.next():
                tell(_answer(pytest_lab, msgspec.json.decode(line, type=messages.Request)))
        return 0

    try:
        return isolation.run(work)
    except IsolationError as error:
        tell(RequestRefused(f"{error}; or take a guest kernel, which needs none: --halfopen-clock virtual"))
        return 1
    except BrokenPipeError:  # nobody is there any more
        return 1


def _opened(lab: Lab, opening: Opening, tell: Callable[[Reply], None]) -> PytestLab:
    try:
        pytest_lab = PytestLab(lab, opening)
    except (InputError, LabError) as error:
        tell(RequestRefused(str(error)))
        sys.exit(1)
    tell(Opened(capabilities.kernel_release(), capabilities.congestion_control()))
    return pytest_lab


def _answer(lab: PytestLab, request: messages.Request) -> Reply:
    try:
        return lab.answer(request)
    except (InputError, LabError, FaultError, TimeoutError) as error:
        return RequestRefused(str(error))


if __name__ == "__main__":
    sys.exit(main())
