"""Has SIGTERM come as Ctrl-C does, so that what is known is told and the terminal put back: timeout(1) sends it, and
whoever ends a container or a CI job."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn


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
