"""Bounds for tests of random results, wide enough that correct code hardly ever fails."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

RARELY = 1e-8
"""Probability that one check of correct code fails. A hundred of them fail once in a million runs."""


def binomial(tries: int, share: float) -> range:
    """Return the range of hits in ``tries``, each with probability ``share``. Half of RARELY lies on either side."""
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
    """Return the range of tries until ``count`` hits: the negative binomial distribution.

    More than n tries are needed if fewer than ``count`` of n are hits.
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
    """Return the largest gap between the values' own distribution and ``distribution`` (Kolmogorov and Smirnov)."""
    count = len(values)
    return max(
        max(distribution(value) - n / count, (n + 1) / count - distribution(value))
        for n, value in enumerate(sorted(values))
    )


def farthest(count: int) -> float:
    """Return the distance exceeded with probability RARELY (inequality of Dvoretzky, Kiefer, Wolfowitz and Massart)."""
    return math.sqrt(math.log(2 / RARELY) / (2 * count))
