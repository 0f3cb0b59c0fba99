"""How numbers of a sweep are written, in its tables, its report and its recommendation alike. Pure."""

from __future__ import annotations

import math

from halfopen.grace.rates import Rate


def seconds(value: float | None) -> str:
    """With a tenth: ``"31.5s"``; empty for None."""
    return "" if value is None else f"{value:.1f}s"


def held(value: float, *, at_least: bool) -> str:
    """For how long a seat was held: ``"31.5s"``, ``"≥ 120.0s"`` where some were held until nobody looked any more."""
    return f"{'≥ ' if at_least else ''}{seconds(value)}"


def count(rate: Rate) -> str:
    """``"3 of 4,000"``; empty without a trial."""
    return f"{rate.times:,} of {rate.trials:,}" if rate.trials else ""


def interval(low: float, high: float) -> str:
    """Where a share is: ``"0.15 - 1.2 %"``."""
    return f"{percent(low).removesuffix(' %')} - {percent(high)}"


def percent(share: float) -> str:
    """A share as it is read, with two digits that count: ``"0.096 %"``, ``"12 %"``, ``"0 %"``."""
    return f"{_two_digits(share * 100)} %"


def _two_digits(number: float) -> str:
    if number == 0:
        return "0"
    places = max(0, 1 - math.floor(math.log10(abs(number))))
    text = f"{number:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
