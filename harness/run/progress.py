"""Live progress of a run. Written by the run's thread, read by the display."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from halfopen.verdict.judge import Verdict


@dataclass
class RunView:
    """Progress of one run. ``deadline`` is a moment of the monotonic clock."""

    label: str
    on_begin: Callable[[], None] = lambda: None
    """Called in the run's thread when it starts."""
    phase: str = "waiting"
    queued: int = 0
    deadline: float | None = None
    verdict: Verdict | None = None

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the verdict at the latest; None if not known yet or no longer relevant."""
        if self.deadline is None or self.verdict is not None:
            return None
        return max(0.0, self.deadline - time.monotonic())
