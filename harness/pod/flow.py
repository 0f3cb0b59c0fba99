"""Flow control by the application's own acknowledgements, as in the incident's pod. Pure."""

from __future__ import annotations

from collections import Counter
from typing import Literal

DropReason = Literal["window", "stale"]

#: Bytes sent and not acknowledged by the application beyond which slices are shed.
WINDOW = 256 * 1024
#: Seconds between publishing and sending beyond which a slice is shed.
STALE_AFTER = 2.0


class FlowControl:
    """Counts bytes sent and acknowledged, and decides which slices to shed."""

    def __init__(self, window: int = WINDOW, stale_after: float = STALE_AFTER) -> None:
        self._window = window
        self._stale_after = stale_after
        self._sent = 0
        self._acknowledged: int | None = None
        self._drops: Counter[str] = Counter()

    @property
    def sent(self) -> int:
        """Bytes of slices passed to the connection."""
        return self._sent

    @property
    def acknowledged(self) -> int | None:
        """Bytes acknowledged by the client's application; None before the first acknowledgement."""
        return self._acknowledged

    @property
    def drops(self) -> dict[str, int]:
        """Slices shed so far, per reason."""
        return dict(self._drops)

    def acknowledge(self, cumulative: int) -> None:
        """Record the client's count of received bytes. It never falls: a late, lower count is ignored."""
        self._acknowledged = max(self._acknowledged or 0, cumulative)

    def shed(self, waited: float) -> DropReason | None:
        """Return the reason to shed the next slice, published ``waited`` seconds ago; None to send it.

        The window is checked first, and only after the client's first acknowledgement: before it, the client may not
        count bytes at all.
        """
        reason: DropReason | None = None
        if self._acknowledged is not None and self._sent - self._acknowledged > self._window:
            reason = "window"
        elif waited > self._stale_after:
            reason = "stale"
        if reason is not None:
            self._drops[reason] += 1
        return reason

    def count_sent(self, size: int) -> None:
        """Record that ``size`` bytes were passed to the connection."""
        self._sent += size
