"""The wire format of sch_tbf's options (include/uapi/linux/pkt_sched.h, tc-tbf(8)): a rate in, bytes out, and back."""

from __future__ import annotations

import struct

from netns.netlink import attribute, attributes
from netns.units import BitRate

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

#: Of these the queue may hold 50 ms (at least two full frames) before it drops, as a home router's might.
_LATENCY = 0.05
_FRAME = 1514
#: No link is that fast (netns.impairment).
_UNLIMITED = BitRate(2e12)


def sizes(rate: BitRate) -> tuple[int, int, int]:
    """Bytes a second, the bucket's bytes, and the bytes that may wait and be in the bucket together.

    The bucket holds what the rate lets through in 10 ms, at least one frame; the queue behind it 50 ms.
    """
    bytes_per_second = rate / 8
    burst = max(round(bytes_per_second * 0.01), _FRAME)
    limit = burst + max(round(bytes_per_second * _LATENCY), 2 * _FRAME)
    return round(bytes_per_second), burst, min(limit, _MOST)


def pack(rate: BitRate) -> bytes:
    """The payload of TCA_OPTIONS; a rate of 0 is no limit: a bucket that holds nothing back and drops nothing."""
    speed, burst, limit = sizes(rate) if rate else (round(_UNLIMITED / 8), 1 << 30, _MOST)
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
