"""Lower bound on a stall's age from a single reading of the kernel. Pure.

A first poll that finds a stall did not see it begin, and the kernel does not record that moment. Its timers give a
bound: after each attempt without result, the next wait is twice as long. A number of doublings takes a known time at
least. An idle time before the stall must not count. ``last_ack_recv`` alone would call a session stuck that was silent
for an hour and was sent its first byte a moment ago.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from halfopen.netns.census import PROBE, RawSample
from halfopen.netns.tcp_info import TcpInfo
from halfopen.pod.liveness.reading import Reading

#: TCP_RTO_MIN and TCP_RTO_MAX, include/net/tcp.h; seconds. A sysctl or route may change the first, an option
#: (TCP_RTO_MAX_MS) the second. Results computed from them are therefore capped by the kernel's other counters.
_LEAST_RTO = 0.2
_MOST_RTO = 120.0


@dataclass(frozen=True, slots=True)
class Waits:
    """A timer that doubles: its first wait and its longest, in seconds."""

    first: float
    most: float

    def wait(self, number: int) -> float:
        """Return the wait before attempt ``number``, from 0."""
        # 2**31 of the least is beyond any limit, and still a float.
        return min(self.first * 2.0 ** min(number, 31), self.most)

    def after(self, questions: int) -> float:
        """Return the time from the beginning until ``questions`` attempts were sent."""
        return sum(map(self.wait, range(questions)))

    def moments(self, until: float) -> list[float]:
        """Return the moments of the attempts, from the beginning up to ``until``."""
        every = itertools.accumulate(map(self.wait, itertools.count()))
        return list(itertools.takewhile(lambda moment: moment <= until, every))


def probes(info: TcpInfo) -> Waits:
    """Return the timer of zero-window probes (tcp_probe0_when, include/net/tcp.h).

    The answer to a probe does not change it.
    """
    return Waits(max(info.rto / 1e6, _LEAST_RTO), _MOST_RTO)


def retransmissions(seen: RawSample, info: TcpInfo, least: float = 0.0) -> tuple[Waits, int]:
    """Return the timer of retransmissions (tcp_retransmit_timer, net/ipv4/tcp_timer.c), and its number of doublings.

    ``rto`` is its current value. ``backoff`` returns to 0 with the first acknowledgement that measures a round trip.
    With timestamps that is any acknowledgement. Without them, ``retransmits`` must show that there was none. ``least``
    is the smallest possible first wait, seconds.
    """
    rto = info.rto / 1e6
    doublings = info.backoff if seen.has_timestamps else min(info.backoff, info.retransmits)
    return Waits(max(rto / 2.0**doublings, min(least, rto)), rto), doublings


def stalled(seen: RawSample) -> float:
    """Return the least seconds without an acknowledgement while bytes were queued; 0 if it may be moving."""
    sample = seen.sample
    info = sample.info
    if info is None or not sample.outq:
        return 0.0
    reading = Reading.of(seen.info)
    if info.unacked:
        return _dark(info, reading, seen)
    return _shut(info, reading, seen)


def _shut(info: TcpInfo, reading: Reading, seen: RawSample) -> float:
    """Return the bound for a closed window.

    All that was ever sent is acknowledged, so nothing was since a moment after the last send. The peer's window has
    limited us for as long as it has been shut. The doublings cannot mean more than either.
    """
    if seen.timer != PROBE:
        return 0.0
    waits = probes(info)
    now_waiting = waits.wait(info.backoff)
    by_doublings = waits.after(info.backoff) + max(0.0, now_waiting - seen.expires)
    limited = by_doublings if info.rwnd_limited is None else info.rwnd_limited / 1e6
    return max(0.0, min(by_doublings, reading.last_data_sent / 1000, limited))


def _dark(info: TcpInfo, reading: Reading, seen: RawSample) -> float:
    """Return the bound from retransmissions, the last of them ``last_data_sent`` ago.

    The peer may answer them and accept nothing, behind a window that it shut after they were sent. Bytes that it
    accepts beyond a gap (SACK) are progress.
    """
    heard = info.last_ack_recv / 1000
    waits, doublings = retransmissions(seen, info)
    if not doublings:
        return 0.0
    sent = reading.last_data_sent / 1000
    proved = waits.after(doublings) + sent
    # Once the timer waits its longest, its first wait can no longer be derived from it.
    usual, _ = retransmissions(seen, info, _LEAST_RTO)
    return max(min(proved, heard) if seen.sacked else proved, min(usual.after(doublings) + sent, heard))
