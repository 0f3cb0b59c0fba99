"""For how long at least nothing was acknowledged, by a single reading of the kernel. Pure.

Who looks at a stall for the first time did not see it begin. The kernel keeps no note of that moment, but its timers
tell: each time nothing came of it, the next wait is twice as long. So many doublings take so long, at least.

Nothing of an idle time before the stall counts: ``last_ack_recv`` alone would call a session stuck that has said
nothing for an hour and was sent its first byte a moment ago.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from halfopen.netns.census import PROBE, Sighting
from halfopen.netns.tcp_info import TcpInfo
from halfopen.pod.liveness.reading import Reading

#: TCP_RTO_MIN and TCP_RTO_MAX, include/net/tcp.h; seconds. The first may be another by sysctl or route, and the second
#: by option (TCP_RTO_MAX_MS): what is computed of them is capped by what the kernel counted in other ways.
_LEAST_RTO = 0.2
_MOST_RTO = 120.0


@dataclass(frozen=True, slots=True)
class Waits:
    """A timer that doubles: what it waits at first, and what it waits at most; seconds."""

    first: float
    most: float

    def wait(self, number: int) -> float:
        """The wait before question ``number``, from 0."""
        # 2**31 of the least is beyond any limit, and a float.
        return min(self.first * 2.0 ** min(number, 31), self.most)

    def after(self, questions: int) -> float:
        """From the beginning until so many went out."""
        return sum(map(self.wait, range(questions)))

    def moments(self, until: float) -> list[float]:
        """When questions go out, from the beginning on and not later than ``until``."""
        every = itertools.accumulate(map(self.wait, itertools.count()))
        return list(itertools.takewhile(lambda moment: moment <= until, every))


def probes(info: TcpInfo) -> Waits:
    """The timer of a closed window's probes (tcp_probe0_when, include/net/tcp.h): a probe's answer changes nothing."""
    return Waits(max(info.rto / 1e6, _LEAST_RTO), _MOST_RTO)


def retransmissions(seen: Sighting, info: TcpInfo, least: float = 0.0) -> tuple[Waits, int]:
    """The timer of retransmissions (tcp_retransmit_timer, net/ipv4/tcp_timer.c), and how often it has doubled.

    ``rto`` is what it has come to. ``backoff`` goes back to 0 with the first acknowledgement that tells a round trip:
    with timestamps that is any, without them ``retransmits`` has to say that there was none. ``least``: what it was at
    first at least, seconds.
    """
    rto = info.rto / 1e6
    doublings = info.backoff if seen.has_timestamps else min(info.backoff, info.retransmits)
    return Waits(max(rto / 2.0**doublings, min(least, rto)), rto), doublings


def stalled(seen: Sighting) -> float:
    """Seconds for which at least nothing was acknowledged although bytes were queued; 0: it may be moving."""
    sample = seen.sample
    info = sample.info
    if info is None or not sample.outq:
        return 0.0
    reading = Reading.of(seen.info)
    if info.unacked:
        return _dark(info, reading, seen)
    return _shut(info, reading, seen)


def _shut(info: TcpInfo, reading: Reading, seen: Sighting) -> float:
    """A closed window. All that was ever sent is acknowledged, so nothing was since a moment after the last was sent,
    and the peer's window has limited us for as long as it has been shut: the doublings cannot mean more than either."""
    if seen.timer != PROBE:
        return 0.0
    waits = probes(info)
    now_waiting = waits.wait(info.backoff)
    by_doublings = waits.after(info.backoff) + max(0.0, now_waiting - seen.expires)
    limited = by_doublings if info.rwnd_limited is None else info.rwnd_limited / 1e6
    return max(0.0, min(by_doublings, reading.last_data_sent / 1000, limited))


def _dark(info: TcpInfo, reading: Reading, seen: Sighting) -> float:
    """Retransmissions, the last of them ``last_data_sent`` ago. The peer may answer them and take nothing, behind a
    window that it has shut after they were sent; what it takes beyond a gap (SACK) is progress."""
    heard = info.last_ack_recv / 1000
    waits, doublings = retransmissions(seen, info)
    if not doublings:
        return 0.0
    sent = reading.last_data_sent / 1000
    proved = waits.after(doublings) + sent
    # Once the timer waits its most, what it began with is no longer to be told from that.
    usual, _ = retransmissions(seen, info, _LEAST_RTO)
    return max(min(proved, heard) if seen.sacked else proved, min(usual.after(doublings) + sent, heard))
