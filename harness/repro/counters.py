"""The kernel's counters of a session over the last minute, with their meaning and history. Pure."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from halfopen.model.timeline import ProcessSample, Sample
from halfopen.netns.units import show_bytes

#: Seconds remembered and shown.
REMEMBERED = 60
_BLOCKS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Counter:
    """One kernel counter, under the kernel's name."""

    name: str
    meaning: str
    show: Callable[[int], str] = str
    adds_up: bool = False
    """True if the counter only grows. Then the increase per second is shown instead of the total."""
    of_processes: bool = False
    """True if it counts for the server's processes, and not for the session's socket."""


def _from_microseconds(value: int) -> str:
    return f"{value // 1000} ms"


#: The most telling first, since not every terminal has room for all.
COUNTERS = (
    Counter("outq", "bytes queued, not acknowledged"),
    Counter("bytes_acked", "acknowledged in all; per second", adds_up=True),
    Counter("snd_wnd", "the client's window; 0 is closed"),
    Counter("last_ack_recv", "since its kernel last answered", "{} ms".format),
    Counter("rss", "memory of the server's processes", show_bytes, of_processes=True),
    Counter("backoff", "doublings of the probe's timer"),
    Counter("probes", "probes without an answer"),
    Counter("notsent", "of the queue, never sent"),
    Counter("unacked", "packets sent, not acknowledged"),
    Counter("retransmits", "timeouts in a row"),
    Counter("total_retrans", "packets sent again; per second", adds_up=True),
    Counter("rto", "retransmission timeout", _from_microseconds),
    Counter("rwnd_limited", "held back by the window; per s", _from_microseconds, adds_up=True),
    Counter("rqueue", "received, not read by the server"),
)


class History:
    """The history of the counters, by the second."""

    def __init__(self) -> None:
        self._seconds: dict[str, deque[tuple[int, int]]] = {
            counter.name: deque(maxlen=REMEMBERED + 1) for counter in COUNTERS
        }
        self.last: Sample | None = None
        """The newest sample."""
        self.processes: ProcessSample | None = None
        """The newest sample of the server's processes."""
        self.still_since: float | None = None
        """Start of the stall: bytes are queued and none acknowledged since.

        None while bytes move, or none are queued.
        """

    def feed(self, samples: Iterable[Sample]) -> None:
        """Add samples, each later than the one before."""
        for sample in samples:
            self._judge(sample)
            self.last = sample
            self._remember(sample, of_processes=False)

    def feed_processes(self, samples: Iterable[ProcessSample]) -> None:
        """Add samples of the server's processes, each later than the one before."""
        for sample in samples:
            self.processes = sample
            self._remember(sample, of_processes=True)

    def _remember(self, sample: Sample | ProcessSample, *, of_processes: bool) -> None:
        for counter in COUNTERS:
            if counter.of_processes == of_processes and (value := getattr(sample, counter.name)) is not None:
                seconds = self._seconds[counter.name]
                if seconds and seconds[-1][0] == int(sample.t):
                    seconds.pop()
                seconds.append((int(sample.t), value))

    def _judge(self, sample: Sample) -> None:
        if not sample.outq:
            self.still_since = None
        elif self.last is None or sample.bytes_acked != self.last.bytes_acked:
            # The kernel says when the acknowledgement came (halfopen.model.evidence).
            arrived = sample.t - sample.last_ack_recv / 1000
            self.still_since = arrived if self.last is None else max(arrived, self.last.t)
        elif self.still_since is None:
            self.still_since = sample.t

    def series(self, now: float) -> dict[str, list[int | None]]:
        """Return each counter's values for every second of the last minute, newest last; None without a sample."""
        series = {}
        for counter in COUNTERS:
            seen = dict(self._seconds[counter.name])
            values = [seen.get(second) for second in range(int(now) - REMEMBERED, int(now) + 1)]
            series[counter.name] = _grown(values) if counter.adds_up else values[1:]
        return series


def _grown(values: Sequence[int | None]) -> list[int | None]:
    """Return the increase of each value over the last known one before it; one fewer than there are values."""
    grown: list[int | None] = []
    last = values[0]
    for value in values[1:]:
        # The first known value has no predecessor to grow from.
        grown.append(None if value is None else 0 if last is None else value - last)
        last = last if value is None else value
    return grown


def sparkline(values: Sequence[int | None], width: int) -> str:
    """Draw the values as ``width`` blocks, scaled from 0 to the largest.

    Each block shows the largest value of its share, and is blank where none is known.
    """
    values = _known(values, width)
    shares = [_share(values, number, width) for number in range(width)]
    most = max((share for share in shares if share is not None), default=0)
    return "".join(" " if share is None else _block(share, most) for share in shares)


def _known(values: Sequence[int | None], least: int) -> Sequence[int | None]:
    """Drop the seconds before the first known value, but keep ``least``, so that a short history is drawn wider."""
    first = next((number for number, value in enumerate(values) if value is not None), len(values))
    return values[max(0, min(first, len(values) - least)) :]


def _share(values: Sequence[int | None], number: int, width: int) -> int | None:
    first = number * len(values) // width
    until = max(first + 1, (number + 1) * len(values) // width)
    return max((value for value in values[first:until] if value is not None), default=None)


def _block(value: int, most: int) -> str:
    """Return the block for ``value``. The lowest stands for zero only."""
    if value <= 0 or not most:
        return _BLOCKS[0]
    return _BLOCKS[max(1, min(len(_BLOCKS) - 1, math.ceil(value / most * (len(_BLOCKS) - 1))))]
