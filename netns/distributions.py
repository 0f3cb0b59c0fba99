"""Distributions of jitter as netem's tables: the inverse of each distribution, in 8192ths of the jitter.

The kernel only knows tables (net/sched/sch_netem.c, tabledist). iproute2 ships them as files, but not every machine has
it. So they are computed here exactly as iproute2 does (netem/normal.c, pareto.c and paretonormal.c).
"""

from __future__ import annotations

import array
import functools
import math
from collections.abc import Callable, Iterator
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
    return array.array("h", _TABLES[name]()).tobytes()


def _uniform() -> Iterator[int]:
    """Yield values evenly from one end of the jitter to the other.

    The kernel spreads evenly without a table. This one is sent anyway, because a change cannot remove an earlier table.
    """
    return iter(range(-_SCALE, _SCALE))


def _normal() -> Iterator[int]:
    return (max(_LOWEST, round(_normal_at(entry) * _SCALE)) for entry in range(0, _FINEST, _STEP))


def _normal_at(entry: int) -> float:
    """Return the last step of the grid whose share of the distribution still rounds to ``entry``."""
    # Imported here: no link without jitter needs it.
    from statistics import NormalDist  # noqa: PLC0415

    exact = NormalDist().inv_cdf((entry + 0.5) / _FINEST)
    return math.floor((exact + 10) / _GRID) * _GRID - 10


def _pareto() -> Iterator[int]:
    return (_pareto_at(entry) for entry in range(0, _FINEST, _STEP))


def _pareto_at(entry: int) -> int:
    value = math.pow(1 - entry / _FINEST, -1 / _SHAPE)
    return round(min((value - 1.5) * 4 / 3 * _SCALE, _HIGHEST))


def _paretonormal() -> Iterator[int]:
    """Yield a quarter normal and three quarters Pareto, truncated towards zero as C's division does."""
    for entry in range(0, _FINEST, _STEP):
        yield max(_LOWEST, int((round(_normal_at(entry) * _SCALE) + 3 * _pareto_at(entry)) / 4))


_TABLES: dict[Distribution, Callable[[], Iterator[int]]] = {
    "uniform": _uniform,
    "normal": _normal,
    "pareto": _pareto,
    "paretonormal": _paretonormal,
}
