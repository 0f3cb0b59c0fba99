"""Interleaved measurements: every contestant runs in every round, so the machine's load affects all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

Contest = Mapping[str, Callable[[], object]]


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def race(contest: Contest, rounds: int) -> dict[str, list[float]]:
    """Return each contestant's seconds in each round. A first warm-up round does not count."""
    times: dict[str, list[float]] = {name: [] for name in contest}
    for number in range(rounds + 1):
        for name, work in contest.items():
            taken = seconds(work)
            if number:
                times[name].append(taken)
    return times


def rows(times: Mapping[str, list[float]], floor: str) -> list[str]:
    """A line for each contestant: median, 95th percentile, and the median as a multiple of ``floor``'s."""
    least = statistics.median(times[floor])
    return [
        f"  {name:<44} {show(statistics.median(taken)):>10} {show(percentile(taken, 0.95)):>10} "
        f"{statistics.median(taken) / least:>7.2f}x"
        for name, taken in times.items()
    ]


def heading(title: str) -> str:
    return f"{title}\n  {'':<44} {'median':>10} {'p95':>10} {'ratio':>8}"


def percentile(taken: list[float], share: float) -> float:
    return sorted(taken)[min(int(len(taken) * share), len(taken) - 1)]


def show(taken: float) -> str:
    for factor, unit in ((1, "s"), (1e3, "ms"), (1e6, "us")):
        if taken * factor >= 1:
            return f"{taken * factor:.3g} {unit}"
    return f"{taken * 1e9:.0f} ns"
