"""The times at which connections are polled: each once a poll, in turns, and earlier on request. Pure."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterator
from typing import Generic, TypeVar

#: Number of turns that a poll is divided into, so that ten thousand connections are not all polled at once.
TURNS = 20


class Polled:
    """A connection's place in a :class:`PollSchedule`."""

    __slots__ = ("turn", "urgent_at")

    def __init__(self) -> None:
        self.turn = 0
        self.urgent_at = math.inf
        """Time of an extra poll between two regular ones, seconds of the monotonic clock."""


_PolledT = TypeVar("_PolledT", bound=Polled)


class PollSchedule(Generic[_PolledT]):
    """Every moment is in seconds of the monotonic clock."""

    def __init__(self, poll: float) -> None:
        """``poll`` is in seconds."""
        self._poll = poll
        self._step = poll / TURNS
        self._turns: list[dict[_PolledT, None]] = [{} for _ in range(TURNS)]
        self._turn, self._due = 0, -math.inf
        self._urgent: list[tuple[float, int, _PolledT]] = []
        self._numbers = itertools.count()

    def __bool__(self) -> bool:
        """True if there is a connection."""
        return any(self._turns)

    def __iter__(self) -> Iterator[_PolledT]:
        """Return all connections."""
        return itertools.chain.from_iterable(self._turns)

    def add(self, polled: _PolledT) -> None:
        """Add a connection to the turn that has the fewest."""
        polled.turn = min(range(TURNS), key=lambda turn: len(self._turns[turn]))
        self._turns[polled.turn][polled] = None

    def remove(self, polled: _PolledT) -> None:
        """Remove a connection; may be called again."""
        self._turns[polled.turn].pop(polled, None)
        polled.urgent_at = math.inf
        if not self:
            self._urgent.clear()

    def expedite(self, polled: _PolledT, at: float, now: float) -> None:
        """Poll a connection at a moment, if its next regular poll may come later."""
        if at < polled.urgent_at and at < now + self._poll:
            polled.urgent_at = at
            heapq.heappush(self._urgent, (at, next(self._numbers), polled))

    def next_at(self, now: float) -> float:
        """Return the moment of the next poll; infinite if there is no connection."""
        if not self:
            return math.inf
        if self._due < now - self._poll:  # there were no connections, or the whole server stood still
            self._due = now
        while self._due <= now and not self._turns[self._turn]:
            self._advance()
        empty = next(ahead for ahead in range(TURNS) if self._turns[(self._turn + ahead) % TURNS])
        return min(self._due + empty * self._step, self._urgent[0][0] if self._urgent else math.inf)

    def due(self, now: float) -> list[_PolledT]:
        """Return the connections to poll now, after a moment that ``next_at`` returned."""
        polled: list[_PolledT] = []
        while self._urgent and self._urgent[0][0] <= now:
            at, _, urgent = heapq.heappop(self._urgent)
            if at == urgent.urgent_at:  # else an earlier poll has made it needless
                urgent.urgent_at = math.inf
                polled.append(urgent)
        if now >= self._due:
            polled.extend(self._turns[self._turn])
            self._advance()
        return polled

    def _advance(self) -> None:
        self._turn, self._due = (self._turn + 1) % TURNS, self._due + self._step
