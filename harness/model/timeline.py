"""All samples, faults and events of one run, on one clock. Verdicts rest on it."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from halfopen.netns.sockets import SocketSample
from halfopen.netns.tcp_info import TcpInfo


class Sample(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="sample"):
    """One reading of the server's socket, with the kernel's field names (halfopen.netns.tcp_info has their units)."""

    t: float
    state: str
    outq: int
    rqueue: int = 0
    orphan: bool = False
    """True if no process holds the socket any more."""
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
    last_data_sent: int = 0
    last_ack_recv: int = 0
    last_data_recv: int | None = None
    bytes_received: int | None = None
    segs_in: int | None = None
    rwnd_limited: int | None = None

    @property
    def unheard(self) -> float:
        """Seconds since the last packet from the peer that brought data or acknowledged any."""
        data = self.last_ack_recv if self.last_data_recv is None else self.last_data_recv
        return min(self.last_ack_recv, data) / 1000


class FrontSample(Sample, frozen=True, kw_only=True, tag_field="kind", tag="front_sample"):
    """One reading of a proxy's socket towards the client, if a proxy stands in front of the server."""


class ProcessSample(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="process_sample"):
    """One reading of what the server's processes hold together (halfopen.netns.processes)."""

    t: float
    processes: int
    rss: int
    """Resident memory, bytes."""
    threads: int
    files: int
    """Open descriptors."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened: to the client, at the target, by a fault, in the kernel."""

    t: float
    kind: str
    """Source: ``client``, ``crowd``, ``target``, ``fault``, ``registry``, ``kernel``, ``sockets`` or ``lab``."""
    name: str
    data: dict[str, Any] = {}


class BrokenError(ValueError):
    """Raised for an invalid line in a timeline's file; says which line, and why."""


class Timeline(msgspec.Struct, frozen=True):
    """Samples and events in the order of their times, in seconds since the scenario's start."""

    samples: tuple[Sample, ...] = ()
    events: tuple[Event, ...] = ()
    front: tuple[FrontSample, ...] = ()
    """Samples of the proxy in front of the server, if there is one: the other end of the client's link."""
    processes: tuple[ProcessSample, ...] = ()
    """Samples of the server's processes, from before the session on."""
    others: dict[str, Timeline] = {}
    """The timelines of the scenario's other clients, by their names, on the same clock."""

    def between(self, start: float, end: float) -> Timeline:
        """Return the part with ``start <= t <= end``."""
        return Timeline(
            samples=_between(self.samples, start, end),
            events=_between(self.events, start, end),
            front=_between(self.front, start, end),
            processes=_between(self.processes, start, end),
        )

    def facing_client(self) -> Timeline:
        """Return the timeline as seen from the other end of the client's link, by the proxy in front of the server."""
        return Timeline(self.front, self.events, processes=self.processes)

    def items(self) -> list[_Item]:
        """Return all samples and events in the order of their times, without those of other clients."""
        return sorted((*self.samples, *self.events, *self.front, *self.processes), key=_time)

    def of(self, kind: str, *names: str) -> Iterator[Event]:
        """Yield the events of ``kind`` with any of ``names`` (none given: any name)."""
        return (e for e in self.events if e.kind == kind and (not names or e.name in names))

    def first(self, kind: str, *names: str) -> Event | None:
        """Return the first such event, or None."""
        return next(self.of(kind, *names), None)

    def last(self, kind: str, *names: str) -> Event | None:
        """Return the last such event, or None."""
        return max(self.of(kind, *names), key=_time, default=None)


#: Events of the server that concern one session.
_OF_ONE_SESSION = frozenset({"timeouts", "holder", "launcher_ended", "serving_process_ended", "stacks", "stacks_asked"})
_S = TypeVar("_S", bound=Sample)
_Item = Sample | Event | ProcessSample
_KINDS: dict[object, type[_Item]] = {
    "sample": Sample,
    "front_sample": FrontSample,
    "process_sample": ProcessSample,
}


def _time(item: _Item) -> float:
    return item.t


def _between(items: tuple[Any, ...], start: float, end: float) -> tuple[Any, ...]:
    return items[bisect.bisect_left(items, start, key=_time) : bisect.bisect_right(items, end, key=_time)]


def make(
    samples: Iterable[Sample],
    events: Iterable[Event],
    front: Iterable[FrontSample] = (),
    processes: Iterable[ProcessSample] = (),
) -> Timeline:
    """Make a timeline of samples and events given in any order."""
    in_order = partial(sorted, key=_time)
    return Timeline(
        tuple(in_order(samples)), tuple(in_order(events)), tuple(in_order(front)), tuple(in_order(processes))
    )


#: Fields of a sample that the kernel reports in its struct tcp_info, by the same names.
_FROM_INFO = sorted({*Sample.__struct_fields__} & {*TcpInfo._fields} - {"state"})


def from_kernel(sample: SocketSample, start: float, kind: type[_S]) -> _S:
    """Convert a kernel sample for a timeline that began at ``start`` of the monotonic clock."""
    t, info = round(sample.t - start, 6), sample.info
    if info is None:
        return kind(t=t, state=sample.state, outq=sample.outq, rqueue=sample.rqueue)
    values = {name: getattr(info, name) for name in _FROM_INFO}
    return kind(t=t, state=sample.state, outq=sample.outq, rqueue=sample.rqueue, orphan=sample.inode == 0, **values)


def write(timeline: Timeline, path: Path) -> None:
    """Write one JSON line for each sample or event, in the order of their times.

    Lines of other clients name them (``client``). What concerns all clients, such as the server's output, is written
    once.
    """
    items = [(item, b"") for item in timeline.items()]
    shared = {_key(item) for item, _ in items}
    for name, other in timeline.others.items():
        mark = b',"client":' + msgspec.json.encode(name) + b"}"
        items += [(item, mark) for item in other.items() if not (_is_shared(item) and _key(item) in shared)]
    items.sort(key=lambda marked: marked[0].t)
    encode = msgspec.json.Encoder().encode
    lines = (encode(item)[:-1] + mark if mark else encode(item) for item, mark in items)
    path.write_bytes(b"".join(line + b"\n" for line in lines))


def _is_shared(item: _Item) -> bool:
    """True if this may concern all clients: the server's events, and what its processes hold."""
    return isinstance(item, ProcessSample) or (
        isinstance(item, Event) and item.kind == "target" and item.name not in _OF_ONE_SESSION
    )


def _key(item: _Item) -> tuple[float, str]:
    return item.t, item.name if isinstance(item, Event) else ""


def read(path: Path) -> Timeline:
    """Read a timeline that :func:`write` wrote; raises BrokenError that names the first invalid line."""
    by_client: dict[str | None, list[_Item]] = {None: []}
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        client, item = _item(line, number)
        by_client.setdefault(client, []).append(item)
    subject = by_client.pop(None)
    shared = [item for item in subject if _is_shared(item)]
    others = {str(name): _sorted_out([*items, *shared]) for name, items in by_client.items()}
    return msgspec.structs.replace(_sorted_out(subject), others=others)


def _sorted_out(items: Iterable[_Item]) -> Timeline:
    samples: list[Sample] = []
    front: list[FrontSample] = []
    events: list[Event] = []
    processes: list[ProcessSample] = []
    for item in items:
        match item:
            case FrontSample():
                front.append(item)
            case Sample():
                samples.append(item)
            case ProcessSample():
                processes.append(item)
            case _:
                events.append(item)
    return make(samples, events, front, processes)


def _item(line: bytes, number: int) -> tuple[str | None, _Item]:
    """Return the client of a line, None for the subject, and the line's content."""
    try:
        table = msgspec.json.decode(line, type=dict[str, Any])
        client = msgspec.convert(table.pop("client", None), str | None)
        return client, msgspec.convert(table, _KINDS.get(table.get("kind"), Event))
    except (msgspec.DecodeError, TypeError) as error:
        raise BrokenError(f"line {number}: {error}") from None
