"""The drawing of a run: its curves, and the marks on them. Pure."""

from __future__ import annotations

import base64
import itertools
import operator
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from halfopen.model.timeline import Sample, Timeline
from halfopen.report import thinning

#: The kernel's names of the curves (halfopen.netns.tcp_info), and those that change in steps. All steps are kept.
_CURVES = ("outq", "bytes_acked", "snd_wnd", "total_retrans", "probes")
_STEPS = frozenset({"probes"})
#: State of a closed socket, for which the kernel still reports old values (SIOCOUTQ does not change).
_CLOSED = "CLOSE"
#: Decimals of seconds in a picture.
_DIGITS = 4


@dataclass(frozen=True, slots=True)
class TimelineCurve:
    """One quantity of one socket: ``values`` at ``times``, in whole milliseconds since the session's start."""

    name: str
    front: bool
    """True for the proxy's socket towards the client, False for the server's."""
    times: tuple[int, ...]
    values: tuple[int, ...]


class Band(NamedTuple):
    """A fault in force, in seconds since the session's start."""

    name: str
    begun: float
    until: float


class Mark(NamedTuple):
    """A marked moment, in seconds since the session's start."""

    kind: str
    """``fault``, ``onset``, ``onset + grace``, ``deadline``, ``reaped``, ``closed``: as it is shown."""
    at: float


@dataclass(frozen=True, slots=True)
class Picture:
    """The whole drawing of one run."""

    curves: tuple[TimelineCurve, ...]
    bands: tuple[Band, ...]
    marks: tuple[Mark, ...]
    until: float
    """The end of the time axis."""


def picture(run: Mapping[str, Any], timeline: Timeline, grace: float, columns: int) -> Picture:
    """Return the drawing of a run, at the resolution of this many columns of pixels."""
    until = max((item[-1].t for item in (timeline.samples, timeline.events, timeline.front) if item), default=0.0)
    marks = tuple(moments(run, grace, timeline))
    until = round(max([float(until), *(mark.at for mark in marks)]), _DIGITS)
    width = max(until, 1e-3) / columns
    return Picture(
        curves=(*_curves(timeline.samples, False, width), *_curves(timeline.front, True, width)),
        bands=tuple(_bands(timeline, until)),
        marks=marks,
        until=until,
    )


def packed(picture: Picture) -> str:
    """Return the picture as JSON with delta-encoded curves, compressed (RFC 1950), in base64, for the page's script."""
    curves = [[one.name, one.front, _steps(one.times), _steps(one.values)] for one in picture.curves]
    table = {"until": picture.until, "marks": picture.marks, "bands": picture.bands, "curves": curves}
    return base64.b64encode(zlib.compress(msgspec.json.encode(table), 9)).decode("ascii")


def _steps(numbers: Iterable[int]) -> list[int]:
    """Return the first number, then the difference of each further one from its predecessor."""
    return [after - before for before, after in itertools.pairwise(itertools.chain([0], numbers))]


def moments(run: Mapping[str, Any], grace: float, timeline: Timeline | None = None) -> Iterator[Mark]:
    """Yield the moments of a run in order. Without its timeline, only those in its results."""
    onset = run.get("onset_s")
    found = {
        "fault": run.get("fault_at_s"),
        "onset": onset,
        "onset + grace": None if onset is None else onset + grace,
        "deadline": run.get("deadline_s"),
        "reaped": run.get("reaped_at_s"),
        "closed": _closed_at(run, timeline),
    }
    there = [Mark(kind, round(float(at), _DIGITS)) for kind, at in found.items() if at is not None]
    yield from sorted(there, key=lambda mark: mark.at)


def _closed_at(run: Mapping[str, Any], timeline: Timeline | None) -> float | None:
    """Return when either side began to close a session that ended by itself."""
    if timeline is None or run.get("outcome") != "closed":
        return None
    return min((event.t for event in timeline.of("client", "closing", "close_received")), default=None)


def _bands(timeline: Timeline, until: float) -> Iterator[Band]:
    undone = {event.data.get("step"): event.t for event in timeline.of("fault", "undone")}
    for event in timeline.of("fault", "begun"):
        ended = undone.get(event.data.get("step"), until)
        yield Band(str(event.data.get("fault", "fault")), round(float(event.t), _DIGITS), round(float(ended), _DIGITS))


def _curves(samples: Sequence[Sample], front: bool, width: float) -> Iterator[TimelineCurve]:
    # Values after the socket was finally closed are stale.
    seen = [sample for sample in samples if sample.state != _CLOSED or sample.orphan]
    times = [round(sample.t * 1000) for sample in seen]
    for name in _CURVES:
        if (values := _values(seen, name)) is not None:
            kept = thinning.changes(values) if name in _STEPS else thinning.kept(times, values, width * 1000)
            yield TimelineCurve(name, front, tuple(times[n] for n in kept), tuple(values[n] for n in kept))


def _values(samples: Sequence[Sample], name: str) -> list[int] | None:
    """Return one quantity of all samples; None if the kernel does not report it."""
    get: Callable[[Sample], int | None] = operator.attrgetter(name)
    found = [get(sample) for sample in samples]
    values = [value for value in found if value is not None]
    return values if values and len(values) == len(found) else None
