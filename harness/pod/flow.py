"""Flow control by the application's own acknowledgements, as the incident's pod does it. Pure."""

from __future__ import annotations

from collections import Counter
from typing import Literal

DropReason = Literal["window", "stale"]

#: Bytes sent and not acknowledged by the application beyond which slices are shed.
WINDOW = 256 * 1024
#: Seconds between publishing and sending beyond which a slice is shed.
STALE_AFTER = 2.0


class FlowControl:
    """Counts what was sent and acknowledged, and says which slices to shed and why."""

    def __init__(self, window: int = WINDOW, stale_after: float = STALE_AFTER) -> None:
        self._window = window
        self._stale_after = stale_after
        self._sent = 0
        self._acknowledged: int | None = None
        self._drops: Counter[str] = Counter()

    @property
    def sent(self) -> int:
        """Bytes of slices handed to the connection."""
        return self._sent

    @property
    def acknowledged(self) -> int | None:
        """Bytes the client's application acknowledged; None before it ever did."""
        return self._acknowledged

    @property
    def drops(self) -> dict[str, int]:
        """Slices shed so far, per reason."""
        return dict(self._drops)

    def acknowledge(self, cumulative: int) -> None:
        """Take in the client's count of received bytes. It only ever rises: late news are no news."""
        self._acknowledged = max(self._acknowledged or 0, cumulative)

    def shed(self, waited: float) -> DropReason | None:
        """Why the next slice, which ``waited`` seconds since it was published, is to be shed; None to send it.

        The window is asked first, and only once the client has acknowledged at all: one that never
        does is not known to count.
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
        """Note that ``size`` bytes were handed to the connection."""
        self._sent += size
