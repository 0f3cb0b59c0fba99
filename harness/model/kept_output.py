"""Choose the lines of a server's output to keep, since it may print without end. Pure, and of bounded size.

Kept are the first lines, the last ones, those around each moment that matters (a fault, the end of a session), and
tracebacks.
"""

from __future__ import annotations

import collections

from halfopen.model.timeline import Event

#: Number of first lines to keep, and of last ones.
FIRST, LAST = 500, 300
#: Seconds before and after a moment whose lines are kept, and the most lines on each side.
AROUND, MOST_AROUND = 2.0, 100
#: Most lines after a server is asked for its stacks, and most lines of all its tracebacks.
MOST_STACKS, MOST_OF_TRACEBACKS = 2000, 400
#: Most moments around which lines are kept.
_MOST_MOMENTS = 20
TRACEBACK = "Traceback (most recent call last):"


class KeptOutput:
    """The lines of one server, added as they are printed. Times are those of one clock, in seconds."""

    def __init__(self) -> None:
        self.printed = self.dropped = 0
        """Number of all lines, and of those that are gone."""
        self.dropped_from: float | None = None
        """Time of the first line that is gone; None if none is."""
        self._last: collections.deque[Event] = collections.deque(maxlen=LAST)
        self._until, self._room = 0.0, 0
        self._moments = 0
        self._is_traceback = False
        self._of_tracebacks = 0

    def add(self, line: Event) -> bool:
        """Take in a line. True if it is kept for good, False if later lines may push it out."""
        self.printed += 1
        is_of_traceback = self._belongs_to_traceback(str(line.data["text"]))
        if is_of_traceback:
            self._of_tracebacks += 1
        is_near = line.t <= self._until and self._room > 0
        if self.printed <= FIRST or is_near or (is_of_traceback and self._of_tracebacks <= MOST_OF_TRACEBACKS):
            self._room -= is_near
            return True
        if len(self._last) == LAST:
            self.dropped += 1
            self.dropped_from = self._last[0].t if self.dropped_from is None else self.dropped_from
        self._last.append(line)
        return False

    def mark(self, t: float, lines_after: int = MOST_AROUND) -> list[Event]:
        """Keep the lines around this moment, ``lines_after`` at most after it; return those kept for good from now."""
        if self._moments == _MOST_MOMENTS:
            return []
        self._moments += 1
        recent = [line for line in self._last if line.t >= t - AROUND][-MOST_AROUND:]
        for _ in recent:
            self._last.pop()
        self._until, self._room = t + AROUND, lines_after
        return recent

    @property
    def last(self) -> list[Event]:
        """The last lines, apart from those that are kept for good."""
        return list(self._last)

    def _belongs_to_traceback(self, text: str) -> bool:
        """True from the head of a traceback to its exception (traceback.print_exception), which is not indented."""
        if text.lstrip(" |+").startswith(TRACEBACK):
            self._is_traceback = True
            return True
        if not self._is_traceback:
            return False
        self._is_traceback = text[:1].isspace() or not text
        return True
