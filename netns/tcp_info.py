"""The layout of ``struct tcp_info``, the same in getsockopt(2) and in sock_diag(7).

The structure only ever grows at its end (include/uapi/linux/tcp.h). A kernel older than a field returns a shorter
structure, and such fields read as None.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

#: include/net/tcp_states.h
STATES = (
    "NONE",
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "TIME_WAIT",
    "CLOSE",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "CLOSING",
    "NEW_SYN_RECV",
)

#: Bytes; more than any kernel's structure today (280 on 6.18).
MAX_SIZE = 512

_SNAPSHOT = struct.Struct(
    "=B x B B B 3x"  # 0 state, 2 retransmits, 3 probes, 4 backoff
    "I"  # 8 rto, us
    "12x I"  # 24 unacked, packets
    "16x I"  # 44 last_data_sent, ms
    "4x I"  # 52 last_data_recv, ms
    "I"  # 56 last_ack_recv, ms
    "40x I"  # 100 total_retrans
    "16x Q"  # 120 bytes_acked
    "Q"  # 128 bytes_received
    "4x I"  # 140 segs_in
    "I"  # 144 notsent_bytes
    "28x Q"  # 176 rwnd_limited, us
    "8x I"  # 192 delivered
    "12x Q"  # 208 bytes_retrans
    "12x I"  # 228 snd_wnd
)
_ZEROS = bytes(_SNAPSHOT.size)
#: End offset of each field that newer kernels added. Shorter structures lack the field.
_ENDS = {
    "bytes_acked": 128,
    "bytes_received": 136,
    "segs_in": 144,
    "notsent": 148,
    "rwnd_limited": 184,
    "delivered": 196,
    "bytes_retrans": 216,
    "snd_wnd": 232,
}


class TcpInfo(NamedTuple):
    """The kernel's data on one TCP connection, under the kernel's names."""

    state: int
    retransmits: int
    probes: int
    backoff: int
    rto: int
    """Retransmission timeout, microseconds."""
    unacked: int
    """Packets sent and not acknowledged."""
    last_data_sent: int
    """Milliseconds since data was last sent or retransmitted."""
    last_data_recv: int
    """Milliseconds since data last arrived."""
    last_ack_recv: int
    """Milliseconds since the last acknowledgement of any kind arrived."""
    total_retrans: int
    bytes_acked: int | None
    """Bytes acknowledged by the peer since the connection began (RFC 4898, tcpEStatsAppHCThruOctetsAcked)."""
    bytes_received: int | None
    """Bytes of data received in order since the connection began."""
    segs_in: int | None
    """Segments received, with or without data."""
    notsent: int | None
    rwnd_limited: int | None
    """Microseconds for which the peer's window limited sending."""
    delivered: int | None
    bytes_retrans: int | None
    snd_wnd: int | None
    """The peer's receive window, bytes."""

    @property
    def unheard(self) -> float:
        """Seconds since the peer's last packet that acknowledged or brought data."""
        return min(self.last_ack_recv, self.last_data_recv) / 1000

    @property
    def state_name(self) -> str:
        """The state as the kernel's headers name it, such as ``"ESTABLISHED"``."""
        return state_name(self.state)


def state_name(number: int) -> str:
    """Return the name of a TCP state number (include/net/tcp_states.h)."""
    return STATES[number] if number < len(STATES) else str(number)


def parse(raw: bytes | memoryview) -> TcpInfo:
    """Unpack a ``struct tcp_info`` of any length."""
    length = len(raw)
    if length >= _SNAPSHOT.size:
        return TcpInfo._make(_SNAPSHOT.unpack_from(raw))
    fields = _SNAPSHOT.unpack_from(bytes(raw) + _ZEROS)
    named = zip(TcpInfo._fields, fields, strict=True)
    return TcpInfo._make(None if length < _ENDS.get(name, 0) else value for name, value in named)
