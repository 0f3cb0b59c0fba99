"""Make stop signals noticed: SIGTERM interrupts as Ctrl-C does, and both interrupt a waiting main thread.

SIGTERM comes from timeout(1), from container engines and from CI. Results so far are then reported, and the terminal is
restored.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import signal
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from types import FrameType
from typing import NoReturn, TypeVar

from halfopen.netns.exit_codes import ExitCode

_Result = TypeVar("_Result")
#: Longest delay until a signal is noticed, seconds.
_NOTICED_WITHIN = 0.5


class Terminated(SystemExit):
    """Raised on SIGTERM. Uncaught, the process exits with 143, as in a shell."""

    CODE = ExitCode.TERMINATED

    def __init__(self) -> None:
        super().__init__(self.CODE)


@contextlib.contextmanager
def interrupting() -> Iterator[None]:
    """Have a SIGTERM raise Terminated in the main thread; a second one ends the process at once.

    An ignored or handled SIGTERM stays so. Other threads cannot set handlers (signal(2)), so nothing changes there.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def interrupt(number: int, _frame: FrameType | None) -> NoReturn:
        signal.signal(number, signal.SIG_DFL)
        raise Terminated

    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def as_completed(futures: Iterable[Future[_Result]]) -> Iterator[Future[_Result]]:
    """Yield each future when it is done, as concurrent.futures.as_completed does, but let signals interrupt the wait.

    CPython only notes that a signal came. The main thread raises KeyboardInterrupt at its next check. If the signal
    comes between its last check and its wait for a lock, nothing wakes it, and a wait without a timeout never checks
    again. This one checks twice a second.
    """
    pending = set(futures)
    while pending:
        done, pending = concurrent.futures.wait(pending, _NOTICED_WITHIN, concurrent.futures.FIRST_COMPLETED)
        yield from done
