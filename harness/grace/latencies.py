"""The distribution of a duration over many runs: the middle and the tail. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Latencies:
    """Seconds, in ascending order."""

    seconds: tuple[float, ...] = ()

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Latencies:
        """Make latencies of seconds in any order."""
        return cls(tuple(sorted(seconds)))

    def quantile(self, percent: int) -> float | None:
        """Interpolate linearly between the two nearest ranks (Hyndman and Fan's type 7, as numpy); None if empty."""
        if len(self.seconds) < 2:
            return self.seconds[0] if self.seconds else None
        return statistics.quantiles(self.seconds, n=100, method="inclusive")[percent - 1]

    @property
    def median(self) -> float | None:
        """The median."""
        return self.quantile(50)

    @property
    def p99(self) -> float | None:
        """The 99th percentile."""
        return self.quantile(99)

    @property
    def least(self) -> float | None:
        """The shortest."""
        return self.seconds[0] if self.seconds else None

    @property
    def most(self) -> float | None:
        """The longest."""
        return self.seconds[-1] if self.seconds else None
