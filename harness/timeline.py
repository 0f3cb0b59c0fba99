"""All samples, faults and events of one scenario run, on one clock: what a verdict rests on."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from netns.sockets import Sample as SocketSample


class Sample(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="sample"):
    """One reading of the server's socket, by the kernel's names (netns.tcp_info has their units)."""

    t: float
    state: str
    outq: int
    rqueue: int = 0
    orphan: bool = False
    """Whether no process holds the socket any more."""
    bytes_acked: int | None = None
    delivered: int | None = None
    unacked: int = 0
    notsent: int | None = None
    snd_wnd: int | None = None
    probes: int = 0
    backoff: int = 0
    rto: int = 0
    retransmits: int = 0
    total_retrans: int = 0
    last_ack_recv: int = 0
    rwnd_limited: int | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened: to the client, at the target, by a fault, in the kernel."""

    t: float
    kind: str
    """Who says so: ``client``, ``target``, ``fault``, ``registry``, ``kernel``, ``lab``."""
    name: str
    data: dict[str, Any] = {}


class Timeline(msgspec.Struct, frozen=True):
    """Samples and events in the order of their times, in seconds since the scenario's start."""

    samples: tuple[Sample, ...] = ()
    events: tuple[Event, ...] = ()

    def between(self, start: float, end: float) -> Timeline:
        """The part with ``start <= t <= end``."""
        return Timeline(_between(self.samples, start, end), _between(self.events, start, end))

    def of(self, kind: str, *names: str) -> Iterator[Event]:
        """The events of ``kind``, of any of ``names`` (none given: of any name)."""
        return (e for e in self.events if e.kind == kind and (not names or e.name in names))

    def first(self, kind: str, *names: str) -> Event | None:
        """The first such event, or None."""
        return next(self.of(kind, *names), None)

    def last(self, kind: str, *names: str) -> Event | None:
        """The last such event, or None."""
        return max(self.of(kind, *names), key=_time, default=None)


def _time(item: Sample | Event) -> float:
    return item.t


def _between(items: tuple[Any, ...], start: float, end: float) -> tuple[Any, ...]:
    return items[bisect.bisect_left(items, start, key=_time) : bisect.bisect_right(items, end, key=_time)]


def make(samples: Iterable[Sample], events: Iterable[Event]) -> Timeline:
    """A timeline of samples and events given in any order."""
    return Timeline(tuple(sorted(samples, key=_time)), tuple(sorted(events, key=_time)))


def from_kernel(sample: SocketSample, start: float) -> Sample:
    """The kernel's reading as a line of a timeline that began at ``start`` of the monotonic clock."""
    t = round(sample.t - start, 6)
    info = sample.info
    if info is None:
        return Sample(t=t, state=sample.state, outq=sample.outq, rqueue=sample.rqueue)
    return Sample(
        t=t,
        state=sample.state,
        outq=sample.outq,
        rqueue=sample.rqueue,
        orphan=sample.inode == 0,
        bytes_acked=info.bytes_acked,
        delivered=info.delivered,
        unacked=info.unacked,
        notsent=info.notsent,
        snd_wnd=info.snd_wnd,
        probes=info.probes,
        backoff=info.backoff,
        rto=info.rto,
        retransmits=info.retransmits,
        total_retrans=info.total_retrans,
        last_ack_recv=info.last_ack_recv,
        rwnd_limited=info.rwnd_limited,
    )


def write(timeline: Timeline, path: Path) -> None:
    """Write one JSON line a sample or event, in the order of their times."""
    items: list[Sample | Event] = sorted((*timeline.samples, *timeline.events), key=_time)
    encode = msgspec.json.Encoder().encode
    path.write_bytes(b"".join(encode(item) + b"\n" for item in items))


def read(path: Path) -> Timeline:
    """The timeline that :func:`write` wrote; raises msgspec.ValidationError on anything else."""
    items = [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]
    is_sample = [item.get("kind") == "sample" for item in items]
    return make(
        (msgspec.convert(item, Sample) for item, sample in zip(items, is_sample, strict=True) if sample),
        (msgspec.convert(item, Event) for item, sample in zip(items, is_sample, strict=True) if not sample),
    )
