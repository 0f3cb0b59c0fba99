"""The slices and when each is published. Publishing is a function of time, so it needs no thread."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

SLICE_BYTES = 32 * 1024
SLICE_INTERVAL = 0.05


@dataclass(frozen=True, slots=True)
class Stream:
    """Slices of ``size`` bytes, one every ``interval`` seconds; the incident's most was 2.5 MB/s."""

    size: int = SLICE_BYTES
    interval: float = SLICE_INTERVAL

    def slices(self, start: float) -> Iterator[tuple[float, bytes]]:
        """Every slice with the time at which it is published, from ``start`` on, without end."""
        payload = bytes(self.size)
        return ((start + number * self.interval, payload) for number in itertools.count())
