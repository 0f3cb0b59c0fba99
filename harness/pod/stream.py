"""The slices and the time at which each is published. That is a function, so publishing needs no thread."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

SLICE_BYTES = 32 * 1024
SLICE_INTERVAL = 0.05


@dataclass(frozen=True, slots=True)
class Stream:
    """Slices of ``size`` bytes, one every ``interval`` seconds; the incident's peak was 2.5 MB/s."""

    size: int = SLICE_BYTES
    interval: float = SLICE_INTERVAL
    quiet_after: float = math.inf
    """Seconds after its start from which nothing is published ..."""
    quiet_for: float = math.inf
    """... and the duration of this, seconds."""

    def slices(self, start: float) -> Iterator[tuple[float, bytes]]:
        """Yield every slice with its publication time, from ``start`` on; ends only if the quiet lasts for ever."""
        payload = bytes(self.size)
        before = math.inf if math.isinf(self.quiet_after) else math.ceil(self.quiet_after / self.interval)
        for number in itertools.count():
            if number < before:
                yield start + number * self.interval, payload
            elif math.isinf(self.quiet_for):
                return
            else:
                yield start + self.quiet_for + number * self.interval, payload
