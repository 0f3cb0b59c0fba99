"""A user at a terminal: a pseudo-terminal for the keys, and an emulator that draws the screen."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyte

PATIENCE = 60.0
_STEP = 0.05


class Terminal:
    """The screen of a program, and its keys."""

    def __init__(
        self, process: subprocess.Popen[bytes], near: int, far: int, size: tuple[int, int], before: list[Any]
    ) -> None:
        self.process = process
        self._near, self._far = near, far
        self.before = before
        """The modes before the program started, which sets its own at once."""
        rows, columns = size
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self.everything = b""

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self._screen.display)

    @property
    def shows_cursor(self) -> bool:
        return not self._screen.cursor.hidden

    def modes(self) -> list[Any]:
        return termios.tcgetattr(self._far)

    def resize(self, rows: int, columns: int) -> None:
        self._screen.resize(rows, columns)
        termios.tcsetwinsize(self._far, (rows, columns))

    def press(self, keys: str) -> None:
        os.write(self._near, keys.encode())

    def see(self, what: str) -> str:
        """Wait until ``what`` is on the screen. Return the screen."""
        return self.see_that(lambda text: what in text, what)

    def see_that(self, condition: Callable[[str], bool], what: str) -> str:
        until = time.monotonic() + PATIENCE
        while not condition(self.text):
            assert time.monotonic() < until, f"{what!r} was never seen; the last screen:\n{self.text}"
            if not self._take_in():
                assert condition(self.text), f"it ended without {what!r}; the last screen:\n{self.text}"
        return self.text

    def end(self) -> int:
        """Wait for the end. Return the exit code."""
        while self._take_in():
            pass
        return self.process.wait(PATIENCE)

    def _take_in(self) -> bool:
        # Check first: output written just before the end is still to be read after it.
        has_ended = self.process.poll() is not None
        if not select.select([self._near], [], [], _STEP)[0]:
            return not has_ended
        said = os.read(self._near, 1 << 16)
        self.everything += said
        self._stream.feed(said)
        return True


@contextlib.contextmanager
def running(command: Sequence[str], rows: int = 24, columns: int = 80, **options: Any) -> Iterator[Terminal]:
    near, far = pty.openpty()
    termios.tcsetwinsize(far, (rows, columns))
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    environment |= {"TERM": "xterm-256color", "SHELL": "/bin/sh"}
    before = termios.tcgetattr(far)
    # The program needs its own terminal, from which Ctrl-C comes.
    words = ["setsid", "--ctty", "--wait", *command]
    process = subprocess.Popen(words, stdin=far, stdout=far, stderr=far, env=environment, **options)
    try:
        yield Terminal(process, near, far, (rows, columns), before)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()
        os.close(near)
        os.close(far)
