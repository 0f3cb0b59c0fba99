"""Hand-made sightings: a dump's data on a socket with these counters."""

from __future__ import annotations

import socket
import struct
from typing import Any

from halfopen.netns import sockets, tcp_info
from halfopen.netns.census import PROBE, RETRANSMIT, RawSample

#: Offsets and formats in struct tcp_info (include/uapi/linux/tcp.h).
_FIELDS = {
    "state": (0, "B"), "retransmits": (2, "B"), "probes": (3, "B"), "backoff": (4, "B"),
    "options": (5, "B"), "rto": (8, "I"), "sacked": (28, "I"),
    "unacked": (24, "I"), "last_data_sent": (44, "I"), "last_data_recv": (52, "I"), "last_ack_recv": (56, "I"),
    "rtt": (68, "I"), "rttvar": (72, "I"), "total_retrans": (100, "I"), "bytes_acked": (120, "Q"),
    "bytes_received": (128, "Q"), "notsent": (144, "I"), "rwnd_limited": (176, "Q"), "delivered": (192, "I"),
    "bytes_sent": (200, "Q"), "bytes_retrans": (208, "Q"), "snd_wnd": (228, "I"),
}  # fmt: skip
_SIZE = 280
_IDLE = {
    "options": 1, "rto": 204_000, "rtt": 20_000, "rttvar": 5_000, "bytes_acked": 1000, "bytes_received": 200,
    "delivered": 10,
    "bytes_sent": 1000, "snd_wnd": 65_536, "last_ack_recv": 1_000, "last_data_sent": 1_000, "last_data_recv": 5_000,
}  # fmt: skip


def sighting(
    t: float = 1000.0,
    *,
    outq: int = 0,
    state: str = "ESTABLISHED",
    timer: int = 0,
    expires: float = 0.0,
    number: int = 1,
    inode: int = 77,
    **fields: int,
) -> RawSample:
    """Return a sighting of an idle connection, changed as given. ``number`` distinguishes connections."""
    code = tcp_info.STATES.index(state)
    info = bytearray(_SIZE)
    for name, value in {**_IDLE, **fields, "state": code}.items():
        at, layout = _FIELDS[name]
        struct.pack_into(f"={layout}", info, at, value)
    addresses = socket.inet_aton("10.0.0.1").ljust(16, b"\0") + socket.inet_aton("10.0.0.2").ljust(16, b"\0")
    head = struct.pack("!BBBBHH", socket.AF_INET, code, timer, 0, 5090, 40_000 + number) + addresses
    middle = struct.pack("=IQ", 0, number)
    tail = struct.pack("=IIIII", round(expires * 1000), 0, outq, 0, inode)
    attribute = struct.pack("=HH", 4 + _SIZE, sockets.INFO)
    return RawSample(t, head + middle + tail + attribute + bytes(info))


def shut(t: float = 1000.0, *, backoff: int = 8, waited: float = 1.0, **fields: Any) -> RawSample:
    """Return a closed window, ``waited`` seconds after the last of ``backoff`` probes, all of them answered."""
    stall = 0.204 * (2**backoff - 1) + waited
    usual = {
        "outq": 2_600_000, "notsent": 2_600_000, "snd_wnd": 0, "rwnd_limited": round(stall * 1e6) + 50_000,
        "last_data_sent": round(stall * 1000) + 50, "last_ack_recv": round(waited * 1000),
    }  # fmt: skip
    return sighting(
        t, **{"timer": PROBE, "expires": 0.204 * 2**backoff - waited, "backoff": backoff, **usual, **fields}
    )


def dark(t: float = 1000.0, *, retransmits: int = 7, waited: float = 6.0, **fields: Any) -> RawSample:
    """Return a path that drops everything, ``waited`` seconds after the last of ``retransmits`` retransmissions."""
    rto = 204_000 * 2**retransmits
    stall = 0.204 * (2**retransmits - 1) + waited
    usual = {
        "outq": 88_000, "notsent": 80_000, "unacked": 6, "rto": rto, "backoff": retransmits, "bytes_sent": 9000,
        "last_data_sent": round(waited * 1000), "last_ack_recv": round(stall * 1000) + 100,
    }  # fmt: skip
    return sighting(
        t, **{"timer": RETRANSMIT, "expires": rto / 1e6 - waited, "retransmits": retransmits, **usual, **fields}
    )
