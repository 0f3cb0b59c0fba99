"""A run's picture as a short line of text, which the browser unpacks on demand. Pure."""

from __future__ import annotations

import base64
import itertools
import zlib
from collections.abc import Iterable

import msgspec

from halfopen.report.timeline_curves import Picture

_DIGITS = 4


def packed(picture: Picture) -> str:
    """Return the picture as JSON with delta-encoded curves, compressed (RFC 1950), in base64."""
    table = {
        "until": _rounded(picture.until),
        "marks": [[mark.kind, _rounded(mark.at)] for mark in picture.marks],
        "bands": [[band.name, _rounded(band.begun), _rounded(band.until)] for band in picture.bands],
        "curves": [[one.name, one.front, _steps(one.times), _steps(one.values)] for one in picture.curves],
    }
    return base64.b64encode(zlib.compress(msgspec.json.encode(table), 9)).decode("ascii")


def _rounded(seconds: float) -> float:
    return round(float(seconds), _DIGITS)


def _steps(numbers: Iterable[int]) -> list[int]:
    """Return the first number, then the difference of each further one from its predecessor."""
    return [after - before for before, after in itertools.pairwise(itertools.chain([0], numbers))]
