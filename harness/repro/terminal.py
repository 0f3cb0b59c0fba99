"""The terminal's keys, one by one as they are pressed; its modes are put back however that ends."""

from __future__ import annotations

import contextlib
import os
import select
import termios
from collections.abc import Iterator

#: Leaves the other screen, shows the cursor (ECMA-48 and xterm's control sequences).
_AS_BEFORE = b"\x1b[?1049l\x1b[?25h"


@contextlib.contextmanager
def kept(fd: int) -> Iterator[None]:
    """Put a terminal's modes back when the context is left: for a process that outlives the one that changes them."""
    before = termios.tcgetattr(fd)
    try:
        yield
    finally:
        with contextlib.suppress(termios.error):
            changed = termios.tcgetattr(fd)[:4] != before[:4]
            termios.tcsetattr(fd, termios.TCSADRAIN, before)
            if changed:  # whoever changed them had no time to tidy up
                os.write(fd, _AS_BEFORE)


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
