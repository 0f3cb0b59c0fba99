"""How far chance may stray: bounds for tests of what is random, so wide that something right hardly ever fails."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

RARELY = 1e-8
"""The probability with which one check of something right fails; a hundred of them fail once in a million runs."""


def binomial(tries: int, share: float) -> range:
    """How many of ``tries`` may be hit, each by itself with probability ``share``; half of RARELY to either side."""
    low, tail = -1, 0.0
    while tail <= RARELY / 2:
        low += 1
        tail += _probability(low, tries, share)
    high, tail = tries + 1, 0.0
    while tail <= RARELY / 2:
        high -= 1
        tail += _probability(high, tries, share)
    return range(low, high + 1)


def waits(count: int, share: float) -> range:
    """How many tries it may take until ``count`` are hit: the negative binomial distribution.

    More than n tries are needed if fewer than ``count`` of n are hit.
    """
    most = count
    while count not in _hit_at_least(most, share):
        most = most * 21 // 20 + 1
    least = most
    while least > count and count <= binomial(least - 1, share)[-1]:
        least -= 1
    return range(least, most + 1)


def _hit_at_least(tries: int, share: float) -> range:
    return range(binomial(tries, share)[0] + 1)


def _probability(hits: int, tries: int, share: float) -> float:
    if share in (0.0, 1.0):
        return float(hits == tries * share)
    log = math.lgamma(tries + 1) - math.lgamma(hits + 1) - math.lgamma(tries - hits + 1)
    return math.exp(log + hits * math.log(share) + (tries - hits) * math.log1p(-share))


def distance(values: Sequence[float], distribution: Callable[[float], float]) -> float:
    """The most by which the values' own distribution differs from ``distribution`` (Kolmogorov and Smirnov)."""
    count = len(values)
    return max(
        max(distribution(value) - n / count, (n + 1) / count - distribution(value))
        for n, value in enumerate(sorted(values))
    )


def farthest(count: int) -> float:
    """The distance that ``count`` values exceed RARELY (the inequality of Dvoretzky, Kiefer, Wolfowitz and Massart)."""
    return math.sqrt(math.log(2 / RARELY) / (2 * count))
