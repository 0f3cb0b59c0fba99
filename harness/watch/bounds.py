"""Lower bound on a stall's age from a single reading of the kernel. Pure.

A first poll that finds a stall did not see it begin, and the kernel does not record that moment. Its timers give a
bound: after each attempt without result, the next wait is twice as long. A number of doublings takes a known time at
least. An idle time before the stall must not count. ``last_ack_recv`` alone would call a session stuck that was silent
for an hour and was sent its first byte a moment ago.
"""

from __future__ import annotations

from halfopen.netns import tcp_timers
from halfopen.netns.census import PROBE, Sighting
from halfopen.netns.tcp_info import TcpInfo


def stalled(seen: Sighting) -> float:
    """Return the least seconds without an acknowledgement while bytes were queued; 0 if it may be moving."""
    sample = seen.sample
    info = sample.info
    if info is None or not sample.outq:
        return 0.0
    return _dark(info, seen) if info.unacked else _shut(info, seen)


def _shut(info: TcpInfo, seen: Sighting) -> float:
    """Return the bound for a closed window.

    All that was ever sent is acknowledged, so nothing was since a moment after the last send. The peer's window has
    limited us for as long as it has been shut. The doublings cannot mean more than either.
    """
    if seen.timer != PROBE:
        return 0.0
    timer = tcp_timers.probes(info)
    by_doublings = timer.after(info.backoff) + max(0.0, timer.wait(info.backoff) - seen.expires)
    limited = by_doublings if info.rwnd_limited is None else info.rwnd_limited / 1e6
    return max(0.0, min(by_doublings, info.last_data_sent / 1000, limited))


def _dark(info: TcpInfo, seen: Sighting) -> float:
    """Return the bound from retransmissions, the last of them ``last_data_sent`` ago.

    The peer may answer them and accept nothing, behind a window that it shut after they were sent. Bytes that it
    accepts beyond a gap (SACK) are progress.
    """
    heard = info.last_ack_recv / 1000
    timer, doublings = tcp_timers.retransmissions(seen, info)
    if not doublings:
        return 0.0
    sent = info.last_data_sent / 1000
    bound = timer.after(doublings) + sent
    # Once the timer waits its longest, its first wait can no longer be derived from it.
    usual, _ = tcp_timers.retransmissions(seen, info, tcp_timers.LEAST_RTO)
    return max(min(bound, heard) if seen.sacked else bound, min(usual.after(doublings) + sent, heard))
