"""Confidence intervals for shares. Pure.

Written out because the formula is three lines and the libraries that have it (scipy, statsmodels) are larger than all
of halfopen. Tests compare it with published results.
"""

from __future__ import annotations

import math
import statistics


def wilson(hits: int, of: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval for a binomial share (E. B. Wilson, 1927, J. Am. Stat. Assoc. 22, 209-212)."""
    z = statistics.NormalDist().inv_cdf((1 + confidence) / 2)
    centre = (hits + z * z / 2) / (of + z * z)
    half = z / (of + z * z) * math.sqrt(hits * (of - hits) / of + z * z / 4)
    return max(centre - half, 0.0), min(centre + half, 1.0)
