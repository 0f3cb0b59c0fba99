"""How long something took, over many runs: the middle and the tail. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Latencies:
    """Seconds, in order."""

    seconds: tuple[float, ...] = ()

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Latencies:
        """Of seconds in whatever order."""
        return cls(tuple(sorted(seconds)))

    def quantile(self, percent: int) -> float | None:
        """Between the two nearest by rank, on a line (Hyndman and Fan's seventh, as numpy's); None of nothing."""
        if len(self.seconds) < 2:
            return self.seconds[0] if self.seconds else None
        return statistics.quantiles(self.seconds, n=100, method="inclusive")[percent - 1]

    @property
    def median(self) -> float | None:
        """What half of them exceed."""
        return self.quantile(50)

    @property
    def p99(self) -> float | None:
        """What one in a hundred exceeds."""
        return self.quantile(99)

    @property
    def least(self) -> float | None:
        """The shortest."""
        return self.seconds[0] if self.seconds else None

    @property
    def most(self) -> float | None:
        """The longest."""
        return self.seconds[-1] if self.seconds else None
