"""The processors that this process may use, and how many of them are idle."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

#: Clock ticks per second in /proc/stat.
_TICKS = os.sysconf("SC_CLK_TCK")
#: Folder of the control group that this process sees as the root (cgroups(7), version 2).
_GROUP = Path("/sys/fs/cgroup")


class Processors:
    """The processors of this machine, or the share of them that a container may use (its quota)."""

    def __init__(self, proc: Path = Path("/proc"), group: Path = _GROUP) -> None:
        """``proc`` and ``group`` are the folders that the kernel's counts are read from."""
        self._stat, self._group = proc / "stat", group
        self._numbers = {f"cpu{number}" for number in os.sched_getaffinity(0)}
        self._quota = _quota(group / "cpu.max")
        self._last = self._reading()

    @property
    def count(self) -> int:
        """Number of processors that may be used, at least 1."""
        number = len(self._numbers)
        return number if self._quota is None else max(1, min(number, math.ceil(self._quota)))

    def idle(self) -> float:
        """Return the number of processors that were idle since the last call, on average; 0.0 if no time has passed."""
        (then, idle_then), self._last = self._last, self._reading()
        now, idle_now = self._last
        return max(0.0, (idle_now - idle_then) / (now - then)) if now > then else 0.0

    def _reading(self) -> tuple[float, float]:
        """Return the time now, and the idle time of all processors so far, both in seconds."""
        now = time.monotonic()
        if self._quota is not None:
            # A container's other processors may be idle and still not be for it.
            used = dict(line.split() for line in (self._group / "cpu.stat").read_text().splitlines())
            return now, self._quota * now - int(used["usage_usec"]) / 1e6
        try:
            lines = [line.split() for line in self._stat.read_text().splitlines()]
        except OSError:  # masked in some containers; then none counts as idle
            return now, 0.0
        # proc_stat(5): the fourth number is idle, the fifth waits for a disk.
        return now, sum(int(line[4]) + int(line[5]) for line in lines if line[0] in self._numbers) / _TICKS


def _quota(file: Path) -> float | None:
    """Return the processors that a control group may use (cpu.max of cgroups(7)); None without a limit."""
    try:
        quota, period = file.read_text().split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else int(quota) / int(period)
