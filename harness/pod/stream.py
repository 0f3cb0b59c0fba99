"""The stream: its slices, the time at which each is published, and the flow control that sheds some. Pure.

The publication time is a function, so publishing needs no thread. The client's application controls the flow by its
acknowledgements, as in the incident's pod.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

SLICE_BYTES = 32 * 1024
SLICE_INTERVAL = 0.05
#: Bytes sent and not acknowledged by the application beyond which slices are shed.
WINDOW = 256 * 1024
#: Seconds between publishing and sending beyond which a slice is shed.
STALE_AFTER = 2.0


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


class FlowControl:
    """Counts bytes sent and acknowledged, and decides which slices to shed."""

    def __init__(self) -> None:
        self.sent = 0
        """Bytes of slices passed to the connection."""
        self.acknowledged: int | None = None
        """Bytes acknowledged by the client's application; None before the first acknowledgement."""
        self.drops: Counter[str] = Counter()
        """Slices shed so far, by reason."""

    def acknowledge(self, cumulative: int) -> None:
        """Record the client's count of received bytes. It never falls: a late, lower count is ignored."""
        self.acknowledged = max(self.acknowledged or 0, cumulative)

    def shed(self, waited: float) -> Literal["window", "stale"] | None:
        """Return the reason to shed the next slice, published ``waited`` seconds ago; None to send it.

        The window is checked first, and only after the client's first acknowledgement: before it, the client may not
        count bytes at all.
        """
        reason: Literal["window", "stale"] | None = None
        if self.acknowledged is not None and self.sent - self.acknowledged > WINDOW:
            reason = "window"
        elif waited > STALE_AFTER:
            reason = "stale"
        if reason is not None:
            self.drops[reason] += 1
        return reason
