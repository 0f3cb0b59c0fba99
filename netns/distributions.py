"""Distributions of jitter as netem's tables: the inverse of each distribution, in 8192ths of the jitter.

The kernel only knows tables (net/sched/sch_netem.c, tabledist). iproute2 ships them as files, but not every machine has
it. So they are computed here exactly as iproute2 does (netem/normal.c, pareto.c and paretonormal.c).
"""

from __future__ import annotations

import array
import functools
import math
from collections.abc import Iterable
from typing import Literal

Distribution = Literal["uniform", "normal", "pareto", "paretonormal"]

# include/uapi/linux/pkt_sched.h: the table's unit (NETEM_DIST_SCALE) and the most entries (NETEM_DIST_MAX).
_SCALE = 8192
_FINEST = 16384
_LOWEST, _HIGHEST = -32768, 32767
_STEP = 4
"""iproute2 keeps every fourth of the finest table's entries."""
_GRID = 0.00005
"""Step at which iproute2 searches for the normal distribution's values."""
_SHAPE = 3.0
"""Shape of the Pareto distribution; its mean is then 1.5 and its deviation 0.75."""


@functools.cache
def table(name: Distribution) -> bytes:
    """Return the payload of TCA_NETEM_DELAY_DIST: signed 16-bit numbers in this machine's byte order."""
    return array.array("h", _values(name)).tobytes()


def _values(name: Distribution) -> Iterable[int]:
    if name == "uniform":
        # The kernel spreads evenly without a table, but a change to none would not remove an earlier table.
        return range(-_SCALE, _SCALE)
    entries = range(0, _FINEST, _STEP)
    if name == "normal":
        return (max(_LOWEST, _normal(entry)) for entry in entries)
    if name == "pareto":
        return map(_pareto, entries)
    # A quarter normal and three quarters Pareto, truncated towards zero as C's division does.
    return (max(_LOWEST, int((_normal(entry) + 3 * _pareto(entry)) / 4)) for entry in entries)


def _normal(entry: int) -> int:
    """Return the last step of the grid whose share of the distribution still rounds to ``entry``."""
    # Imported here: no link without jitter needs it.
    from statistics import NormalDist  # noqa: PLC0415

    exact = NormalDist().inv_cdf((entry + 0.5) / _FINEST)
    return round((math.floor((exact + 10) / _GRID) * _GRID - 10) * _SCALE)


def _pareto(entry: int) -> int:
    value = math.pow(1 - entry / _FINEST, -1 / _SHAPE)
    return round(min((value - 1.5) * 4 / 3 * _SCALE, _HIGHEST))
