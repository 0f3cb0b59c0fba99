"""Linux's retransmission times, computed from its rules alone: the stall of an outage, and the outages that a grace
survives.

A sender whose packets get no answer sends the first of them again after its retransmission timeout, and at intervals
that double from there (RFC 6298, sections 2 and 5.5). In Linux:

- the timeout is the smoothed round trip and at least 200 ms (TCP_RTO_MIN, include/net/tcp.h; tcp_set_rto,
  net/ipv4/tcp_input.c), at most 120 s (TCP_RTO_MAX), in whole jiffies;
- loss probes come before the first of them. New data puts them off while the congestion window lets any be sent
  (RFC 8985, section 7; tcp_schedule_loss_probe, net/ipv4/tcp_output.c): ten packets at first (RFC 6928);
- a timer fires late by up to the granularity of its wheel, which grows eightfold for every eightfold wait
  (kernel/time/timer.c), and never early;
- after tcp_retries2 timeouts, which is 15, the connection is given up (tcp(7)): more than ten minutes.

Nothing here is measured. All moments are bounds, in seconds since the onset of the stall.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

_RTO_MIN, _RTO_MAX = 0.2, 120.0
_RETRIES = 15
_INITIAL_WINDOW = 10
_SEGMENT = 1448
#: kernel/time/timer.c: the number of buckets in the wheel's first level, and the factor from one level's grain to the
#: next.
_BUCKETS, _COARSER = 63, 8


class Stream(NamedTuple):
    """Stream of the server."""

    slice_bytes: int = 4 * 1024
    interval: float = 0.2


#: The staircase's stream.
STREAM = Stream()


class Bounds(NamedTuple):
    """Earliest and latest."""

    low: float
    high: float


def timer_grain(wait: float, hz: int) -> float:
    """Return the most seconds by which a timer may fire late."""
    grain = 1
    while wait * hz >= _BUCKETS * grain:
        grain *= _COARSER
    return grain / hz


def attempts(rtt: float, hz: int, stream: Stream = STREAM) -> Iterator[Bounds]:
    """Yield the time of each retransmission of the first unanswered packet."""
    rto = rtt + _RTO_MIN
    # Rounded up to jiffies, in which the round trip is measured.
    late_rto = rto + 2 / hz
    slices = math.ceil(_INITIAL_WINDOW / math.ceil(stream.slice_bytes / _SEGMENT)) - 1
    low = rto
    # Then one more probe, two round trips after the last new data, and a timeout from there.
    high = slices * stream.interval + 2 * rtt + late_rto + 2 * timer_grain(late_rto, hz)
    for backoff in range(1, _RETRIES + 1):
        yield Bounds(low, high)
        low += min(rto * 2**backoff, _RTO_MAX)
        wait = min(late_rto * 2**backoff, _RTO_MAX)
        high += wait + timer_grain(wait, hz)


def onset(rtt: float, stream: Stream = STREAM) -> Bounds:
    """Return the start of the stall, after the path went dark: the first byte without an answer. Bytes acknowledged
    within the last round trip may never have been reported to the server."""
    return Bounds(-rtt, stream.interval)


def stall(outage: float, rtt: float, hz: int, stream: Stream = STREAM) -> Bounds:
    """Return the length of the stall: until the first attempt after the path heals is answered."""
    begins = onset(rtt, stream)
    heals = Bounds(outage - begins.high, outage - begins.low)
    tried = list(attempts(rtt, hz, stream))
    earliest = next(max(one.low, heals.low) for one in tried if one.high >= heals.low)
    latest = next(one.high for one in tried if one.low >= heals.high)
    return Bounds(earliest, latest + rtt)


def longest_survived(grace: float, rtt: float, hz: int, stream: Stream = STREAM) -> Bounds:
    """Return the longest outage such that it and every shorter one stalls no longer than the grace."""
    begins = onset(rtt, stream)
    tried = list(attempts(rtt, hz, stream))
    surely = [one.low for one in tried if one.high + rtt <= grace]
    perhaps = [one.high for one in tried if one.low + rtt <= grace]
    # An outage that heals just before the last attempt in time is survived. One that heals just after it is not.
    return Bounds(max(surely, default=0.0) + begins.low, min(max(perhaps, default=0.0), grace) + begins.high)
