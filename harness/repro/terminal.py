"""The terminal's keys, one by one as they are pressed; its modes are put back however that ends."""

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

#: Leaves the other screen, shows the cursor (ECMA-48 and xterm's control sequences).
_AS_BEFORE = b"\x1b[?1049l\x1b[?25h"


#: What the one who draws tells of: it is on the other screen, or back from it.
_AWAY, _BACK = b"+", b"-"


@dataclass(frozen=True, slots=True)
class Kept:
    """A terminal that is put back as it was, whoever is killed."""

    fd: int
    _tell: int

    @contextlib.contextmanager
    def drawn_on(self) -> Iterator[None]:
        """To be entered around what is drawn on the other screen."""
        os.write(self._tell, _AWAY)
        try:
            yield
        finally:
            os.write(self._tell, _BACK)


@contextlib.contextmanager
def kept(fd: int) -> Iterator[Kept]:
    """Put a terminal back once all have ended who are started in this context, or forked from who is in it.

    A process of its own does, for even this one may be killed. To be entered where there is one thread only.
    """
    before = termios.tcgetattr(fd)
    (hear, tell), (ready, stands) = os.pipe(), os.pipe()
    flush()
    guard = os.fork()
    if guard == 0:
        os.close(tell)
        _guard(fd, before, hear, stands)
    os.close(hear)
    os.close(stands)
    # Whoever is in this context is guarded: until it stands, Ctrl-C or a hang-up ends it too.
    with os.fdopen(ready, "rb") as standing:
        standing.read()
    try:
        yield Kept(fd, tell)
    finally:
        os.close(tell)
        os.waitpid(guard, 0)


def _guard(fd: int, before: list[Any], hear: int, stands: int) -> NoReturn:
    """Wait until nobody is left who could tell of the terminal, and put back what was not by then."""
    try:
        # Out of reach of Ctrl-C, of the hang-up that the end of a terminal's first process brings, and of pkill's name.
        os.setsid()
        Path("/proc/self/comm").write_text("terminal-guard")
        os.close(stands)
        said = b""
        while more := os.read(hear, 64):
            said = (said + more)[-1:]
        _put_back(fd, before, is_away=said == _AWAY)
    finally:
        os._exit(0)


def _put_back(fd: int, before: list[Any], *, is_away: bool) -> None:
    with contextlib.suppress(termios.error, OSError):
        # A shell that saw its job killed has set its own by now.
        if _are_ours(termios.tcgetattr(fd)):
            termios.tcsetattr(fd, termios.TCSADRAIN, before)
        if is_away:
            os.write(fd, _AS_BEFORE)


def _are_ours(modes: list[Any]) -> bool:
    """Whether these are modes that only we set: without a key that suspends, or with none that interrupts."""
    return modes[6][termios.VSUSP] == b"\0" or not modes[3] & termios.ISIG


class Keys:
    """Reads keys, unechoed. Ctrl-C still interrupts; Ctrl-Z is a key as any other: the lab could not be suspended."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._before = termios.tcgetattr(fd)

    @contextlib.contextmanager
    def unbuffered(self) -> Iterator[None]:
        """Have keys come at once, until the context is left."""
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
        """The keys that were pressed, waited for ``timeout`` seconds at most; the terminal's end is ``q``."""
        if not select.select([self._fd], [], [], timeout)[0]:
            return ""
        try:
            raw = os.read(self._fd, 64)
        except OSError:
            return "q"
        # What begins with an escape is a key that means nothing here: an arrow, a mouse's.
        return raw.partition(b"\x1b")[0].decode(errors="replace") if raw else "q"
