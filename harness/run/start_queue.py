"""Start servers one after the other, as fast as this machine carries it.

A server needs processors to start, and few once it listens. If dozens start at once, each takes as long as all of them
together. So only as many start at once as there are processors. Another one starts when one of them has its session,
or if processors are idle nevertheless: a server may start slowly because it waits for something.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from halfopen.netns.processors import Processors
from halfopen.run.observer import Stop, Stopped

#: Seconds over which idle processors are measured.
_STEP = 0.25
#: Processors that must have been idle for one more start.
_IDLE = 0.5
#: Seconds of waiting for a turn after which starting is called slow.
_SLOW_AFTER = 10.0


class StartQueue:
    """Turns to start a server. Thread-safe."""

    def __init__(self, on_slow: Callable[[str], None] = lambda _: None, processors: Processors | None = None) -> None:
        """``on_slow`` is called once, with a sentence for the user, if runs wait long for their turn."""
        self._processors = processors or Processors()
        self._on_slow = on_slow
        self._changed = threading.Condition()
        self._numbers = iter(range(1 << 62))
        self._line: list[int] = []
        self._starting = self._started = 0
        self._begun = self._measured_from = 0.0
        self._was_said = False

    @contextlib.contextmanager
    def turn(self, stop: Stop) -> Iterator[Callable[[], None]]:
        """Wait for a turn. It is over when the context is left, or earlier if the yielded function is called.

        Raises Stopped.
        """
        self._await_turn(stop)
        is_over = False

        def end() -> None:
            nonlocal is_over
            with self._changed:
                if not is_over:
                    is_over = True
                    self._starting -= 1
                    self._started += 1
                    self._changed.notify_all()

        try:
            yield end
        finally:
            end()

    def _await_turn(self, stop: Stop) -> None:
        with self._changed:
            number = next(self._numbers)
            self._line.append(number)
            self._begun = self._begun or time.monotonic()
            try:
                while self._line[0] != number or not self._may_start():
                    if stop.requested:
                        raise Stopped
                    self._say_if_slow()
                    self._changed.wait(_STEP)
                self._starting += 1
                self._measure()
            finally:
                self._line.remove(number)
                self._changed.notify_all()

    def _may_start(self) -> bool:
        if self._starting < self._processors.count:
            return True
        return time.monotonic() - self._measured_from >= _STEP and self._measure() >= _IDLE

    def _measure(self) -> float:
        """Return the processors that were idle since the last measurement."""
        self._measured_from = time.monotonic()
        return self._processors.idle()

    def _say_if_slow(self) -> None:
        seconds = time.monotonic() - self._begun
        if self._was_said or seconds < _SLOW_AFTER:
            return
        self._was_said = True
        count, total = self._processors.count, self._started + self._starting + len(self._line)
        busy = "the only processor is" if count == 1 else f"all {count} processors are"
        self._on_slow(
            f"starting is slow, because {busy} busy: {self._started} of {total} servers started in {seconds:.0f}s; "
            f"fewer runs at once are easier on this machine: --jobs {max(count, self._started)}"
        )
