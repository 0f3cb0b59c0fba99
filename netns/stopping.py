"""Sees to it that a signal to stop is noticed: SIGTERM as Ctrl-C is, and either of them while the main thread waits.

SIGTERM comes from timeout(1) and from whoever ends a container or a CI job. What is known is then told, and the
terminal put back.
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

_Result = TypeVar("_Result")
#: A signal is noticed after so long at the latest, seconds.
_NOTICED_WITHIN = 0.5


class Terminated(SystemExit):
    """SIGTERM, where it interrupts: what nobody catches ends with a shell's exit code for it."""

    CODE = 128 + signal.SIGTERM

    def __init__(self) -> None:
        super().__init__(self.CODE)


@contextlib.contextmanager
def interrupting() -> Iterator[None]:
    """Have a SIGTERM raise Terminated in the main thread; a second one ends it at once.

    Where it is ignored or handled it stays so. In any other thread, which may not say so (signal(2)), nothing changes.
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
    """Give each future when it is done, as concurrent.futures.as_completed does, and be interrupted while waiting.

    CPython only notes that a signal came; the main thread raises KeyboardInterrupt when it looks next. Where the signal
    comes between its last look and its wait for a lock, nothing wakes it, and a wait without an end never looks again.
    Here it looks twice a second.
    """
    pending = set(futures)
    while pending:
        done, pending = concurrent.futures.wait(pending, _NOTICED_WITHIN, concurrent.futures.FIRST_COMPLETED)
        yield from done
