"""The wire format of sch_tbf's options (include/uapi/linux/pkt_sched.h, tc-tbf(8)): encode and decode a rate."""

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
"""Link layer. With it the kernel needs no table of times (net/sched/sch_tbf.c, tbf_change)."""
_MOST = 2**32 - 1

#: Default queue length, seconds of the rate (at least two full frames), as in a home router.
_LATENCY = 0.05
_FRAME = 1514
#: Faster than any link (halfopen.netns.impairment).
_UNLIMITED = BitRate(2e12)


def sizes(rate: BitRate, queue: float = 0.0) -> tuple[int, int, int]:
    """Return bytes per second, the bucket's bytes, and the most bytes in queue and bucket together.

    The bucket holds 10 ms of the rate, and at least one frame. The queue behind it holds ``queue`` seconds (0: 50 ms).
    """
    bytes_per_second = rate / 8
    burst = max(round(bytes_per_second * 0.01), _FRAME)
    limit = burst + max(round(bytes_per_second * (queue or _LATENCY)), 2 * _FRAME)
    return round(bytes_per_second), burst, min(limit, _MOST)


def pack(rate: BitRate, queue: float = 0.0) -> bytes:
    """Return the payload of TCA_OPTIONS. A rate of 0 is no limit: the bucket delays and drops nothing."""
    speed, burst, limit = sizes(rate, queue) if rate else (round(_UNLIMITED / 8), 1 << 30, _MOST)
    own = _RATESPEC.pack(0, _ETHERNET, 0, 0, 0, min(speed, _MOST))
    parms = own + bytes(_RATESPEC.size) + _REST.pack(limit, 0, 0)
    return (
        attribute(_PARMS, parms)
        + attribute(_BURST, _U32.pack(burst))
        + (attribute(_RATE64, _U64.pack(speed)) if speed > _MOST else b"")
    )


def unpack(options: memoryview) -> BitRate:
    """Return the rate in force according to a kernel's TCA_OPTIONS; 0 if unlimited."""
    found = attributes(options)
    *_, speed = _RATESPEC.unpack_from(found[_PARMS])
    if _RATE64 in found:
        [speed] = _U64.unpack(found[_RATE64])
    return BitRate(0) if speed * 8 == _UNLIMITED else BitRate(speed * 8)


def queue(options: memoryview, rate: BitRate, asked: Duration) -> Duration:
    """Return the longest wait of a packet according to TCA_OPTIONS; ``asked`` if it equals the same number of bytes."""
    limit, _, _ = _REST.unpack_from(attributes(options)[_PARMS], 2 * _RATESPEC.size)
    speed, burst, wanted = sizes(rate, asked)
    return asked if limit == wanted else Duration((limit - burst) / speed)
