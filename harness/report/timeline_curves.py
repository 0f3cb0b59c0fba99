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

from halfopen.model.timeline import ProcessSample, Sample, Timeline
from halfopen.netns.units import show_bytes
from halfopen.report import thinning

#: The kernel's names of the curves (halfopen.netns.tcp_info), and those that change in steps. All steps are kept.
_CURVES = ("outq", "bytes_acked", "snd_wnd", "total_retrans", "probes")
_STEPS = frozenset({"probes", "threads", "files"})
#: The curves of the server's processes (halfopen.model.timeline.ProcessSample).
_OF_PROCESSES = ("rss", "threads", "files")
#: What else they hold, and the words for it.
_COUNTED = (
    ("processes", "process", "processes"),
    ("threads", "thread", "threads"),
    ("files", "open file", "open files"),
)
#: State of a closed socket, for which the kernel still reports old values (SIOCOUTQ does not change).
_CLOSED = "CLOSE"
#: Decimals of seconds in a picture.
_DIGITS = 4


@dataclass(frozen=True, slots=True)
class TimelineCurve:
    """One quantity of one socket, or of the server's processes.

    ``values`` are at ``times``, in whole milliseconds since the session's start.
    """

    name: str
    front: bool
    """True for the proxy's socket towards the client."""
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
    """``fault``, ``onset``, ``onset + grace`` or ``fault + grace``, ``deadline``, ``reaped``, ``closed``: as shown."""
    at: float


@dataclass(frozen=True, slots=True)
class Picture:
    """The whole drawing of one run."""

    curves: tuple[TimelineCurve, ...]
    bands: tuple[Band, ...]
    marks: tuple[Mark, ...]
    until: float
    """The end of the time axis."""
    processes: str = ""
    """Memory, threads and files of the server's processes, in words; empty if they were not sampled."""


def picture(run: Mapping[str, Any], timeline: Timeline, grace: float, columns: int) -> Picture:
    """Return the drawing of a run, at the resolution of this many columns of pixels."""
    until = max((item[-1].t for item in (timeline.samples, timeline.events, timeline.front) if item), default=0.0)
    marks = tuple(moments(run, grace, timeline))
    until = round(max([float(until), *(mark.at for mark in marks)]), _DIGITS)
    width = max(until, 1e-3) / columns
    return Picture(
        curves=(
            *_curves(timeline.samples, False, width),
            *_curves(timeline.front, True, width),
            *_curves_of_processes(timeline.processes, width),
        ),
        bands=tuple(_bands(timeline, until)),
        marks=marks,
        until=until,
        processes=processes(timeline.processes),
    )


def packed(picture: Picture) -> str:
    """Return the picture as JSON with delta-encoded curves, compressed (RFC 1950), in base64, for the page's script."""
    curves = [[one.name, one.front, _steps(one.times), _steps(one.values)] for one in picture.curves]
    table = {
        "until": picture.until,
        "marks": picture.marks,
        "bands": picture.bands,
        "curves": curves,
        "processes": picture.processes,
    }
    return base64.b64encode(zlib.compress(msgspec.json.encode(table), 9)).decode("ascii")


def _steps(numbers: Iterable[int]) -> list[int]:
    """Return the first number, then the difference of each further one from its predecessor."""
    return [after - before for before, after in itertools.pairwise(itertools.chain([0], numbers))]


def moments(run: Mapping[str, Any], grace: float, timeline: Timeline | None = None) -> Iterator[Mark]:
    """Yield the moments of a run in order. Without its timeline, only those in its results."""
    since = "fault" if run.get("deadline_from") == "fault" else "onset"
    begun = run.get(f"{'fault_at' if since == 'fault' else since}_s")
    found = {
        "fault": run.get("fault_at_s"),
        "onset": run.get("onset_s"),
        f"{since} + grace": None if begun is None else begun + grace,
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
            yield _curve(name, front, times, values, width)


def _curves_of_processes(samples: Sequence[ProcessSample], width: float) -> Iterator[TimelineCurve]:
    # The level before the session is drawn at its start.
    seen = samples[max(0, sum(sample.t <= 0 for sample in samples) - 1) :]
    times = [max(0, round(sample.t * 1000)) for sample in seen]
    for name in _OF_PROCESSES if seen else ():
        yield _curve(name, False, times, [getattr(sample, name) for sample in seen], width)


def _curve(name: str, front: bool, times: Sequence[int], values: Sequence[int], width: float) -> TimelineCurve:
    kept = thinning.changes(values) if name in _STEPS else thinning.kept(times, values, width * 1000)
    return TimelineCurve(name, front, tuple(times[n] for n in kept), tuple(values[n] for n in kept))


def processes(samples: Sequence[ProcessSample]) -> str:
    """Describe what the server's processes held: the least and the most of each; empty without samples."""
    if not samples:
        return ""
    memory = _span([sample.rss for sample in samples], show_bytes)
    spans = [(_span([getattr(sample, name) for sample in samples]), one, many) for name, one, many in _COUNTED]
    return ", ".join([f"memory {memory}", *(f"{span} {one if span == '1' else many}" for span, one, many in spans)])


def _span(values: Sequence[int], show: Callable[[int], str] = str) -> str:
    least, most = show(min(values)), show(max(values))
    return least if least == most else f"{least} to {most}"


def _values(samples: Sequence[Sample], name: str) -> list[int] | None:
    """Return one quantity of all samples; None if the kernel does not report it."""
    get: Callable[[Sample], int | None] = operator.attrgetter(name)
    found = [get(sample) for sample in samples]
    values = [value for value in found if value is not None]
    return values if values and len(values) == len(found) else None
