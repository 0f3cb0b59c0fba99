"""The kernel's doubling timers of one connection, as its counters describe them. Pure.

After each attempt without a result, the next wait is twice as long.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from halfopen.netns.census import RawSample
from halfopen.netns.tcp_info import TcpInfo

#: TCP_RTO_MIN and TCP_RTO_MAX, include/net/tcp.h; seconds. A sysctl or route may change the first, an option
#: (TCP_RTO_MAX_MS) the second. Results computed from them are therefore capped by the kernel's other counters.
LEAST_RTO = 0.2
_MOST_RTO = 120.0


@dataclass(frozen=True, slots=True)
class DoublingTimer:
    """A timer's first wait and its longest, in seconds."""

    first: float
    longest: float

    def wait(self, number: int) -> float:
        """Return the wait before attempt ``number``, from 0."""
        # 2**31 times the first is beyond any limit, and still a float.
        return min(self.first * 2.0 ** min(number, 31), self.longest)

    def after(self, attempts: int) -> float:
        """Return the time from the beginning until so many attempts were made."""
        return sum(map(self.wait, range(attempts)))

    def moments(self, until: float) -> list[float]:
        """Return the moments of the attempts, from the beginning up to ``until``."""
        every = itertools.accumulate(map(self.wait, itertools.count()))
        return list(itertools.takewhile(lambda moment: moment <= until, every))


def probes(info: TcpInfo) -> DoublingTimer:
    """Return the timer of zero-window probes (tcp_probe0_when, include/net/tcp.h).

    The answer to a probe does not change it.
    """
    return DoublingTimer(max(info.rto / 1e6, LEAST_RTO), _MOST_RTO)


def retransmissions(seen: RawSample, info: TcpInfo, least: float = 0.0) -> tuple[DoublingTimer, int]:
    """Return the timer of retransmissions (tcp_retransmit_timer, net/ipv4/tcp_timer.c), and its number of doublings.

    ``rto`` is its current value. ``backoff`` returns to 0 with the first acknowledgement that measures a round trip.
    With timestamps that is any acknowledgement. Without them, ``retransmits`` must show that there was none. ``least``
    is the smallest possible first wait, seconds.
    """
    rto = info.rto / 1e6
    doublings = info.backoff if seen.has_timestamps else min(info.backoff, info.retransmits)
    return DoublingTimer(max(rto / 2.0**doublings, min(least, rto)), rto), doublings
