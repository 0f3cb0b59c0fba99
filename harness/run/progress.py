"""What a run shows of itself while it goes on; written by its thread, read by whoever draws it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from halfopen.verdict.judge import Verdict


@dataclass
class RunView:
    """The state of one run. ``deadline`` is of the monotonic clock."""

    label: str
    on_begin: Callable[[], None] = lambda: None
    """Called when it begins, in its thread."""
    phase: str = "waiting"
    queued: int = 0
    deadline: float | None = None
    verdict: Verdict | None = None

    @property
    def seconds_left(self) -> float | None:
        """Until the verdict at the latest; None when that is not known yet, or no longer of interest."""
        if self.deadline is None or self.verdict is not None:
            return None
        return max(0.0, self.deadline - time.monotonic())
