"""Quantities with units: "20ms", "64kbit", "1%", "128KiB". A bare number is refused."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable

from halfopen.netns.lab_errors import UnitError

#: Seconds; longer than any wait. A larger value has a digit too many.
LONGEST = 30 * 86400.0

_NUMBER_AND_UNIT = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z%/]*)\s*")


class Duration(float):
    """Seconds."""


class BitRate(float):
    """Bits per second."""


class ByteRate(float):
    """Bytes per second."""


class Size(int):
    """Bytes."""


class Share(float):
    """A fraction between 0 and 1."""


SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
#: Bits per second; powers of ten, as network gear counts (tc(8) does too).
BITS_PER_SECOND = {"bit": 1.0, "kbit": 1e3, "Mbit": 1e6, "Gbit": 1e9}
BYTES = {"B": 1, "kB": 1000, "KiB": 1024, "MB": 1000**2, "MiB": 1024**2}
BYTES_PER_SECOND = {f"{unit}/s": factor for unit, factor in BYTES.items()}


def _parse(text: object, units: dict[str, float] | dict[str, int], noun: str, example: str) -> float:
    if not isinstance(text, str):
        raise UnitError(f"{noun} needs a unit: got {text!r}, write {_suggest(text, example)}")
    match = _NUMBER_AND_UNIT.fullmatch(text)
    if match is None:
        raise UnitError(f"{noun} is a number and a unit: got {text!r}, write for example {example!r}")
    number, unit = match.groups()
    if not unit:
        raise UnitError(f"{noun} needs a unit: got {text!r}, write {_suggest(number, example)}")
    if unit not in units:
        raise UnitError(f"unknown unit {unit!r} in {text!r}: {noun} is written in {', '.join(units)}")
    value = float(number) * units[unit]
    if math.isinf(value):
        raise UnitError(f"{noun} is too large: got {len(number)} digits")
    return value


def _suggest(value: object, example: str) -> str:
    unit = re.sub(r"[0-9.]", "", example)
    # A share without a unit and below 1 is meant as a fraction.
    with contextlib.suppress(ValueError):
        if unit == "%" and 0 < (number := float(str(value))) < 1:
            value = plain(number * 100)
    return f'"{value}{unit}"'


def duration(text: object) -> Duration:
    """Parse seconds from a text such as ``"20ms"``, ``"30s"`` or ``"13min"``; raises UnitError."""
    return Duration(_parse(text, SECONDS, "a duration", "30s"))


def bit_rate(text: object) -> BitRate:
    """Parse bits per second from a text such as ``"64kbit"`` or ``"10Mbit"``; raises UnitError."""
    return BitRate(_parse(text, BITS_PER_SECOND, "a link's rate", "64kbit"))


def byte_rate(text: object) -> ByteRate:
    """Parse bytes per second from a text such as ``"48KiB/s"``; raises UnitError."""
    return ByteRate(_parse(text, BYTES_PER_SECOND, "a rate of bytes", "48KiB/s"))


def size(text: object) -> Size:
    """Parse bytes from a text such as ``"128KiB"``; raises UnitError."""
    return Size(_parse(text, BYTES, "a size", "128KiB"))


def share(text: object) -> Share:
    """Parse a fraction between 0 and 1 from a text such as ``"1%"``; raises UnitError."""
    value = _parse(text, {"%": 0.01}, "a share", "1%")
    if value > 1:
        raise UnitError(f"a share is at most 100%: got {text!r}")
    return Share(value)


PARSERS: dict[type, Callable[[object], Duration | BitRate | ByteRate | Size | Share]] = {
    Duration: duration,
    BitRate: bit_rate,
    ByteRate: byte_rate,
    Size: size,
    Share: share,
}
"""Parser of each quantity's text; for decoders of structured files."""


def show_duration(seconds: float) -> str:
    """Return a duration for display: ``"20ms"``, ``"5.4s"``, ``"78s"``, ``"13min"``."""
    if seconds and abs(seconds) < 1:
        return f"{seconds * 1000:.4g}ms"
    if seconds >= 600 and seconds % 60 == 0:
        return f"{seconds / 60:.0f}min"
    return f"{seconds:.1f}".removesuffix(".0") + "s"


def show_bytes(count: float) -> str:
    """Return a byte count for display, in powers of ten: ``"456 kB"``, ``"2.6 MB"``."""
    if count < 1000:
        return f"{count:.0f} B"
    if count < 999_500:
        return f"{count / 1e3:.0f} kB"
    return f"{count / 1e6:.1f} MB"


def show_bit_rate(rate: float) -> str:
    """Return a link's rate as users write it: ``"64kbit"``, ``"1.5Mbit"``."""
    for unit, factor in reversed(BITS_PER_SECOND.items()):
        if rate >= factor:
            return f"{rate / factor:.4g}{unit}"
    return f"{rate:.4g}bit"


def plain(value: float, digits: int = 6) -> str:
    """Return a number with at most ``digits`` decimals, without trailing zeros or exponent."""
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if digits else text
