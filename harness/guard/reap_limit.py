"""Limit the sessions that are ended within a minute. A rule that errs then does bounded harm. Pure."""

from __future__ import annotations

import collections
import re
from typing import NamedTuple

from halfopen.netns import units
from halfopen.netns.lab_errors import UnitError

_MINUTE = 60.0
#: A share of few sessions allows at least so many.
FEWEST = 3


class ReapLimit(NamedTuple):
    """The most sessions to end in any minute: a share of all, or a number."""

    share: float | None = 0.1
    number: int = 0
    """The number, if there is no share."""

    def most(self, sessions: int) -> int:
        """Return the number for so many sessions."""
        return self.number if self.share is None else max(FEWEST, int(self.share * sessions))

    def __str__(self) -> str:
        return f"{self.number}/min" if self.share is None else f"{units.plain(self.share * 100)}%/min"


def parse(text: str) -> ReapLimit:
    """Parse a limit such as ``"10%/min"`` or ``"20/min"``; raises UnitError."""
    amount, slash, unit = text.strip().partition("/")
    if slash and unit.strip() == "min":
        if re.fullmatch(r"[0-9]+", amount.strip()) and int(amount):
            return ReapLimit(None, int(amount))
        if amount.strip().endswith("%") and (share := units.share(amount.strip())):
            return ReapLimit(share)
    raise UnitError(
        f'a limit is a share or a number of sessions in a minute, such as "10%/min" or "20/min": got {text!r}'
    )


class ReapBudget:
    """The reaps of the last minute. ``now`` is in seconds of the monotonic clock."""

    def __init__(self, limit: ReapLimit) -> None:
        self._limit = limit
        self._spent: collections.deque[float] = collections.deque()

    def left(self, sessions: int, now: float) -> int:
        """Return how many may be ended now. ``sessions`` is the present number of all sessions."""
        while self._spent and self._spent[0] <= now - _MINUTE:
            self._spent.popleft()
        # Those that were ended are missing from the present number.
        return max(0, self._limit.most(sessions + len(self._spent)) - len(self._spent))

    def spend(self, now: float) -> None:
        """Count a session that was ended."""
        self._spent.append(now)
