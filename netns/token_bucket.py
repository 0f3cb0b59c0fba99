"""The wire format of sch_tbf's options (include/uapi/linux/pkt_sched.h, tc-tbf(8)): a rate in, bytes out, and back."""

from __future__ import annotations

import struct

from halfopen.netns.netlink import attribute, attributes
from halfopen.netns.units import BitRate, Duration

_PARMS = 1
_RATE64 = 4
_BURST = 6

_RATESPEC = struct.Struct("=BBHhHI")  # cell_log, link layer, overhead, cell_align, mpu, bytes a second
_REST = struct.Struct("=3I")  # limit in bytes, bucket and mtu in ticks
_U32 = struct.Struct("=I")
_U64 = struct.Struct("=Q")

_ETHERNET = 1
"""The link layer; with it the kernel needs no table of times (net/sched/sch_tbf.c, tbf_change)."""
_MOST = 2**32 - 1

#: Seconds of the rate that may wait (at least two full frames) where nothing is said, as a home router's queue might.
_LATENCY = 0.05
_FRAME = 1514
#: No link is that fast (halfopen.netns.impairment).
_UNLIMITED = BitRate(2e12)


def sizes(rate: BitRate, queue: float = 0.0) -> tuple[int, int, int]:
    """Bytes a second, the bucket's bytes, and the bytes that may wait and be in the bucket together.

    The bucket holds what the rate lets through in 10 ms, at least one frame; the queue behind it ``queue``
    seconds (0: 50 ms).
    """
    bytes_per_second = rate / 8
    burst = max(round(bytes_per_second * 0.01), _FRAME)
    limit = burst + max(round(bytes_per_second * (queue or _LATENCY)), 2 * _FRAME)
    return round(bytes_per_second), burst, min(limit, _MOST)


def pack(rate: BitRate, queue: float = 0.0) -> bytes:
    """The payload of TCA_OPTIONS; a rate of 0 is no limit: a bucket that holds nothing back and drops nothing."""
    speed, burst, limit = sizes(rate, queue) if rate else (round(_UNLIMITED / 8), 1 << 30, _MOST)
    own = _RATESPEC.pack(0, _ETHERNET, 0, 0, 0, min(speed, _MOST))
    parms = own + bytes(_RATESPEC.size) + _REST.pack(limit, 0, 0)
    return (
        attribute(_PARMS, parms)
        + attribute(_BURST, _U32.pack(burst))
        + (attribute(_RATE64, _U64.pack(speed)) if speed > _MOST else b"")
    )


def unpack(options: memoryview) -> BitRate:
    """The rate that a kernel's TCA_OPTIONS say is in force, 0 where it is no limit."""
    found = attributes(options)
    *_, speed = _RATESPEC.unpack_from(found[_PARMS])
    if _RATE64 in found:
        [speed] = _U64.unpack(found[_RATE64])
    return BitRate(0) if speed * 8 == _UNLIMITED else BitRate(speed * 8)


def queue(options: memoryview, rate: BitRate, asked: Duration) -> Duration:
    """For how long packets may wait as TCA_OPTIONS say; ``asked`` where that comes to the same number of bytes."""
    limit, _, _ = _REST.unpack_from(attributes(options)[_PARMS], 2 * _RATESPEC.size)
    speed, burst, wanted = sizes(rate, asked)
    return asked if limit == wanted else Duration((limit - burst) / speed)
