"""Errors of our own: one line for the user, and the traceback in a file that the line names."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

_LONGEST = 300
#: Covered by a private file system where guests run (halfopen.netns.guest.booting), as a guest's /tmp is.
_PRIVATE = Path("/dev/shm")  # noqa: S108
_GUEST = "User Mode Linux"


class ForeignError(Exception):
    """An error of ours in another process, with its traceback as text."""

    def __init__(self, summary: str, trace: str) -> None:
        # Both, so that it can be pickled.
        super().__init__(summary, trace)
        self.trace = trace

    def __str__(self) -> str:
        return str(self.args[0])


def summary(error: BaseException) -> str:
    """Return an error's type and message on one line."""
    if isinstance(error, ForeignError):
        return str(error)
    line = " ".join("".join(traceback.format_exception_only(error)).split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."


def trace(error: BaseException) -> str:
    """Return an error's traceback."""
    return error.trace if isinstance(error, ForeignError) else "".join(traceback.format_exception(error))


def sentence(error: BaseException) -> str:
    """Write an error's traceback into a new file, and return the line that names both."""
    try:
        file = _write(trace(error))
    except OSError as refused:
        return f"internal error: {summary(error)}; report it (no traceback can be written: {refused})"
    return f"internal error: {summary(error)}; report it, with the traceback in {file}"


def show(error: BaseException) -> None:
    """Print that line on stderr, for a process without a caller that could."""
    print(f"halfopen: {sentence(error)}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def of_threads(report: Callable[[BaseException], None]) -> Iterator[None]:
    """Until the context is left, call ``report`` with each error that ends a thread, in place of printing it."""

    def hook(ended: threading.ExceptHookArgs) -> None:
        if ended.exc_value is not None and not isinstance(ended.exc_value, SystemExit):
            report(ended.exc_value)

    before, threading.excepthook = threading.excepthook, hook
    try:
        yield
    finally:
        threading.excepthook = before


def _write(text: str) -> Path:
    folder = Path(tempfile.gettempdir())
    if folder.is_relative_to(_PRIVATE) or _is_in_guest():
        folder = Path.cwd()
    number, name = tempfile.mkstemp(prefix="halfopen-error-", suffix=".txt", dir=folder)
    with os.fdopen(number, "w", errors="backslashreplace") as stream:
        stream.write(text)
    return Path(name)


def _is_in_guest() -> bool:
    try:
        return _GUEST in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
