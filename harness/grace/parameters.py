"""Numbers with units, and the distributions from which a mix draws them. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import msgspec

from halfopen.netns import units
from halfopen.netns.lab_errors import UnitError
from halfopen.netns.units import plain

#: Closer to 0 or 1 than this, a normal distribution's value does not fit a float.
_LEAST_CHANCE = 1e-12
#: Characters to quote of a text that is no quantity.
_QUOTED = 40


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of quantity: how to read and write it, and the ending of its facts' names."""

    read: Callable[[object], float]
    show: Callable[[float], str]
    ending: str
    step: Callable[[float], float]
    """Returns the step to round a value of this size to."""


def _duration(value: float) -> str:
    return plain(value, 3) + "s" if value >= 1 else plain(value * 1000, 0) + "ms"


def _step_of_rates(value: float) -> float:
    """Bits a second. Kernels count whole bytes a second, and a queue in whole bytes, so use whole kB/s and whole ms."""
    return 8000 if value >= 64000 else 8


_KINDS = (
    _Kind(units.duration, _duration, "_s", lambda _: 0.001),
    _Kind(units.bit_rate, lambda value: plain(value, 0) + "bit", "_bit_s", _step_of_rates),
    _Kind(units.byte_rate, lambda value: plain(value, 0) + "B/s", "_bytes_s", lambda _: 1),
    _Kind(units.size, lambda value: plain(value, 0) + "B", "_bytes", lambda _: 1),
    _Kind(units.share, lambda value: plain(value * 100, 3) + "%", "", lambda _: 1e-5),
)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number of some kind, as exact as its text: durations to the millisecond."""

    value: float
    """Seconds, bits a second, bytes a second, bytes, or a share of one."""
    kind: _Kind

    def __str__(self) -> str:
        return self.kind.show(self.value)

    def at(self, value: float) -> Quantity:
        """Return another value of the same kind, rounded to what can be written."""
        step = self.kind.step(value)
        return Quantity(float(self.kind.read(self.kind.show(round(value / step) * step))), self.kind)

    def fact(self, name: str) -> str:
        """Return the number's name among a draw's facts: ``outage_s``."""
        return name + self.kind.ending


def quantity(text: str) -> Quantity:
    """Read "5s", "64kbit", "16KiB/s", "128KiB" or "5%"; raises UnitError."""
    for kind in _KINDS:
        try:
            return Quantity(float(kind.read(text)), kind)
        except UnitError:
            continue
    got = text if len(text) <= _QUOTED else f"{text[:_QUOTED]}..."
    raise UnitError(
        f"a quantity is a number and its unit: got {got!r}, write such as '5s', '64kbit', '16KiB/s', '128KiB' or '5%'"
    )


_NEEDS = {
    "uniform": ("from", "to"),
    "log-uniform": ("from", "to"),
    "lognormal": ("median", "sigma", "from", "to"),
    "choice": ("of",),
}


class Distribution(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"least": "from", "most": "to"}
):
    """A distribution with its source."""

    distribution: Literal["uniform", "log-uniform", "lognormal", "choice"]
    source: str
    """A publication with title, venue and year, or the plain statement that it is a guess."""
    least: str | None = None
    most: str | None = None
    median: str | None = None
    sigma: float | None = None
    """Only for lognormal: the standard deviation of the natural logarithm."""
    of: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise ValueError for an invalid distribution."""
        if not self.source.strip():
            raise ValueError("a source is empty; say where the numbers are from, or that they are a guess")
        self._check_keys()
        texts = (self.least, self.most, self.median, *self.of)
        quantities = [quantity(text) for text in texts if text is not None]
        if len({each.kind.ending for each in quantities}) > 1:
            raise ValueError(f"quantities of different kinds: {', '.join(map(str, quantities))}")
        if self.distribution == "choice":
            return
        least, most, *median = (each.value for each in quantities)
        if least >= most:
            raise ValueError(f"'from' of {self.least!r} is not less than 'to' of {self.most!r}")
        if self.distribution != "uniform" and least <= 0:
            raise ValueError(f"distribution {self.distribution!r} has no zero: got 'from' {self.least!r}")
        if self.sigma is not None and not 0 < self.sigma < math.inf:
            raise ValueError(f"sigma of {self.sigma:g} is out of range: more than 0")
        if median and not least <= median[0] <= most:
            raise ValueError(f"median of {self.median!r} is not between 'from' {self.least!r} and 'to' {self.most!r}")

    def _check_keys(self) -> None:
        given = {"from": self.least, "to": self.most, "median": self.median, "sigma": self.sigma, "of": self.of or None}
        needed = _NEEDS[self.distribution]
        for key, value in given.items():
            if key in needed and value is None:
                raise ValueError(f"distribution {self.distribution!r} needs a {key!r}")
            if key not in needed and value is not None:
                raise ValueError(f"distribution {self.distribution!r} has no use for {key!r}")

    @property
    def extremes(self) -> tuple[Quantity, ...]:
        """The least and the greatest value, or all choices."""
        return tuple(map(quantity, self.of)) if self.distribution == "choice" else (self.at(0.0), self.at(1.0))

    def at(self, chance: float) -> Quantity:
        """Return the value that a share ``chance`` (0 to 1) of draws do not exceed: one random number, one value."""
        if self.distribution == "choice":
            return quantity(self.of[min(int(chance * len(self.of)), len(self.of) - 1)])
        assert self.least is not None
        assert self.most is not None
        least = quantity(self.least)
        low, high = least.value, quantity(self.most).value
        if self.distribution == "uniform":
            return least.at(low + chance * (high - low))
        if self.distribution == "log-uniform":
            return least.at(low * (high / low) ** chance)
        assert self.median is not None
        assert self.sigma is not None
        normal = NormalDist(math.log(quantity(self.median).value), self.sigma)
        below, upto = normal.cdf(math.log(low)), normal.cdf(math.log(high))
        within = min(max(below + chance * (upto - below), _LEAST_CHANCE), 1 - _LEAST_CHANCE)
        return least.at(min(max(math.exp(normal.inv_cdf(within)), low), high))
