"""Unbuffered keys of the terminal. Its modes are restored however the program ends."""

from __future__ import annotations

import contextlib
import os
import select
import termios
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from halfopen.netns.forking import flush

#: Leave the alternate screen, show the cursor (ECMA-48 and xterm's control sequences).
_AS_BEFORE = b"\x1b[?1049l\x1b[?25h"


#: Messages to the guard: the display entered the alternate screen, or left it.
_AWAY, _BACK = b"+", b"-"


@dataclass(frozen=True, slots=True)
class Kept:
    """A terminal that is restored even if the process is killed."""

    fd: int
    _to_guard: int

    @contextlib.contextmanager
    def drawn_on(self) -> Iterator[None]:
        """Enter this around everything drawn on the alternate screen."""
        os.write(self._to_guard, _AWAY)
        try:
            yield
        finally:
            os.write(self._to_guard, _BACK)


@contextlib.contextmanager
def kept(fd: int) -> Iterator[Kept]:
    """Restore a terminal once every process started or forked within this context has ended.

    A separate process does so, since even this one may be killed. Enter it while there is only one thread.
    """
    before = termios.tcgetattr(fd)
    (heard, to_guard), (ready, stands) = os.pipe(), os.pipe()
    flush()
    guard = os.fork()
    if guard == 0:
        os.close(to_guard)
        _guard(fd, before, heard, stands)
    os.close(heard)
    os.close(stands)
    # The guard protects whoever is in this context. Until it is ready, Ctrl-C or a hang-up ends it too.
    with os.fdopen(ready, "rb") as standing:
        standing.read()
    try:
        yield Kept(fd, to_guard)
    finally:
        os.close(to_guard)
        os.waitpid(guard, 0)


def _guard(fd: int, before: list[Any], heard: int, stands: int) -> NoReturn:
    """Wait until no process is left that could report, then restore what was not restored."""
    try:
        # Out of reach of Ctrl-C, of the hang-up at the end of the terminal's first process, and of pkill by name.
        os.setsid()
        Path("/proc/self/comm").write_text("terminal-guard")
        os.close(stands)
        said = b""
        while more := os.read(heard, 64):
            said = (said + more)[-1:]
        _put_back(fd, before, is_away=said == _AWAY)
    finally:
        os._exit(0)


def _put_back(fd: int, before: list[Any], *, is_away: bool) -> None:
    with contextlib.suppress(termios.error, OSError):
        # A shell that saw its job killed has set its own modes by now.
        if _are_ours(termios.tcgetattr(fd)):
            termios.tcsetattr(fd, termios.TCSADRAIN, before)
        if is_away:
            os.write(fd, _AS_BEFORE)


def _are_ours(modes: list[Any]) -> bool:
    """True if only we set these modes: no key suspends, or none interrupts."""
    return modes[6][termios.VSUSP] == b"\0" or not modes[3] & termios.ISIG


class Keys:
    """Reader of keys, unechoed.

    Ctrl-C still interrupts. Ctrl-Z is an ordinary key, since the lab could not be suspended.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._before = termios.tcgetattr(fd)

    @contextlib.contextmanager
    def unbuffered(self) -> Iterator[None]:
        """Deliver keys at once, until the context is left."""
        modes = termios.tcgetattr(self._fd)
        modes[3] &= ~(termios.ICANON | termios.ECHO)
        modes[6][termios.VSUSP] = b"\0"  # _POSIX_VDISABLE
        modes[6][termios.VMIN], modes[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self._fd, termios.TCSADRAIN, modes)
        try:
            yield
        finally:
            termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)

    def read(self, timeout: float) -> str:
        """Return the pressed keys, after at most ``timeout`` seconds. The terminal's end reads as ``q``."""
        if not select.select([self._fd], [], [], timeout)[0]:
            return ""
        try:
            raw = os.read(self._fd, 64)
        except OSError:
            return "q"
        # Keys that begin with an escape (arrows, the mouse) mean nothing here.
        return raw.partition(b"\x1b")[0].decode(errors="replace") if raw else "q"
