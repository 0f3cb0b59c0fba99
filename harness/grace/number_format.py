"""The format of a sweep's numbers in its tables, its report and its recommendation. Pure."""

from __future__ import annotations

import math

from halfopen.grace.rates import Rate
from halfopen.results.words import seconds


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
