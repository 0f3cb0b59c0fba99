"""Frequencies of events with Wilson's confidence interval, from scipy (an extra), and the format of a sweep's numbers.

Wilson, Probable inference, the law of succession, and statistical inference, J. Am. Stat. Assoc. 22 (1927).
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

from halfopen.errors import InputError
from halfopen.results.words import seconds

#: The two-sided 95 % point of the normal distribution, squared.
_Z_SQUARED = 1.959963984540054**2


@dataclass(frozen=True, slots=True)
class Rate:
    """A number of events in a number of trials."""

    times: int
    trials: int

    @property
    def share(self) -> float | None:
        """From 0 to 1; None without a trial."""
        return self.times / self.trials if self.trials else None

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of the true rate; 0 to 1 without a trial. Raises InputError without scipy."""
        return _wilson(self.times, self.trials)

    @property
    def low(self) -> float:
        """The interval's lower end."""
        return self.interval[0]

    @property
    def high(self) -> float:
        """The interval's upper end."""
        return self.interval[1]


def require_scipy() -> None:
    """Raise InputError if scipy is missing. Called before anything starts."""
    try:
        import scipy.stats  # noqa: F401, PLC0415 (an extra)
    except ImportError:
        raise InputError("intervals need the scipy package; install it with: pip install 'halfopen[grace]'") from None


@functools.lru_cache(maxsize=65536)
def _wilson(times: int, trials: int) -> tuple[float, float]:
    if not trials:
        return 0.0, 1.0
    require_scipy()
    from scipy.stats import binomtest  # noqa: PLC0415 (an extra, and half a second to import)

    bounds = binomtest(times, trials).proportion_ci(confidence_level=0.95, method="wilson")
    return float(bounds.low), float(bounds.high)


def trials_needed(times: int, most: float) -> int:
    """Return the total trials needed for the interval to end below ``most``, if there are no more events.

    Wilson's bound solves (times/n - p)^2 = z^2 p (1 - p) / n. Here p is given and n is sought. Without events the bound
    is z^2 / (n + z^2): 3,838 trials for 0.1 %.
    """
    spread = 2 * times * most + _Z_SQUARED * most * (1 - most)
    exactly = (spread + math.sqrt(spread**2 - 4 * (most * times) ** 2)) / (2 * most**2)
    return math.floor(exactly) + 1


def held(value: float, *, at_least: bool) -> str:
    """Time that a seat was held: ``"31.5s"``, or ``"≥ 120.0s"`` if some were held until observation ended."""
    return f"{'≥ ' if at_least else ''}{seconds(value)}"


def count(rate: Rate) -> str:
    """``"3 of 4,000"``; empty without a trial."""
    return f"{rate.times:,} of {rate.trials:,}" if rate.trials else ""


def interval(low: float, high: float) -> str:
    """The range of a share: ``"0.15 - 1.2 %"``."""
    return f"{percent(low).removesuffix(' %')} - {percent(high)}"


def percent(share: float) -> str:
    """A share with two significant digits: ``"0.096 %"``, ``"12 %"``, ``"0 %"``."""
    return f"{_two_digits(share * 100)} %"


def _two_digits(number: float) -> str:
    if number == 0:
        return "0"
    places = max(0, 1 - math.floor(math.log10(abs(number))))
    text = f"{number:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
