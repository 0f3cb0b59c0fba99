"""Hand-written timelines for tests of evidence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from halfopen.model.timeline import Event, ProcessSample, Sample, Timeline, make

STEP = 0.05
#: Bytes that the hand-written server sends each second.
RATE = 100_000
_SAMPLE = Sample(t=0.0, state="ESTABLISHED", outq=0, snd_wnd=65536, bytes_acked=1)


def sample(t: float, **fields: Any) -> Sample:
    return msgspec.structs.replace(_SAMPLE, t=t, **fields)


def times(start: float, end: float) -> Iterator[float]:
    count = round((end - start) / STEP)
    return (start + n * STEP for n in range(count))


def flowing(start: float, end: float, outq: int = 0) -> list[Sample]:
    """Return samples with bytes sent and acknowledged all along."""
    return [sample(t, bytes_acked=1 + int(t * RATE), outq=outq) for t in times(start, end)]


def stuck(start: float, end: float, **fields: Any) -> list[Sample]:
    """Return samples with nothing acknowledged from ``start`` on, bytes queued, the window closed."""
    return [
        sample(t, **{"bytes_acked": 1 + int(start * RATE), "outq": 1000, "snd_wnd": 0} | fields)
        for t in times(start, end)
    ]


def orphaned(start: float, end: float, **fields: Any) -> list[Sample]:
    return stuck(start, end, **{"state": "FIN_WAIT1", "orphan": True} | fields)


def event(t: float, kind: str, name: str, **data: Any) -> Event:
    return Event(t=t, kind=kind, name=name, data=data)


def progress(start: float, end: float, acknowledging: bool) -> list[Event]:
    return [
        event(t, "client", "progress", read=count, received=count, acknowledged=count if acknowledging else 0)
        for t in times(start, end)
        for count in [int(t * RATE)]
    ]


def status(t: float, *, listed: bool, lock_held: bool | None = None, **more: Any) -> Event:
    seat = {"lock_held": listed if lock_held is None else lock_held}
    return event(t, "registry", "status", listed=listed, sessions=[{}] if listed else [], **seat, **more)


def held(t: float, **fields: int) -> ProcessSample:
    """Return a sample of the server's processes."""
    usual = {"processes": 1, "rss": 50_000_000, "threads": 3, "files": 10}
    return ProcessSample(t=t, **usual | fields)


def held_between(timeline: Timeline, *samples: ProcessSample) -> Timeline:
    """Return the timeline with these samples of the server's processes, after the usual one before the session."""
    return msgspec.structs.replace(timeline, processes=(held(-1.0), *samples))


Part = Iterable[Sample | Event] | Event


def line(*parts: Part) -> Timeline:
    """Return one timeline of samples and events in any order."""
    samples: list[Sample] = []
    events: list[Event] = []
    for part in parts:
        for item in [part] if isinstance(part, Event) else part:
            if isinstance(item, Sample):
                samples.append(item)
            else:
                events.append(item)
    return make(samples, events)
