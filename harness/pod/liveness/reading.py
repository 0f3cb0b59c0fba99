"""One look at a connection: one getsockopt(TCP_INFO), of which the rule's fields are unpacked."""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple, Self

_LAYOUT = struct.Struct(
    "=B 2x B 4x"  # 0 state, 3 probes
    "16x I 16x"  # 24 unacked
    "I 4x I I"  # 44 last_data_sent, 52 last_data_recv, 56 last_ack_recv, ms
    "8x I I"  # 68 rtt, 72 rttvar, us
    "44x Q Q"  # 120 bytes_acked, 128 bytes_received
    "8x I"  # 144 notsent_bytes
    "44x I"  # 192 delivered
    "4x Q Q"  # 200 bytes_sent, 208 bytes_retrans
    "12x I"  # 228 snd_wnd
)


class Reading(NamedTuple):
    """What the kernel says of a connection, by its own names (include/uapi/linux/tcp.h)."""

    state: int
    probes: int
    """Probes of a closed window, or of an idle peer, that nothing answered."""
    unacked: int
    """Packets sent and not acknowledged."""
    last_data_sent: int
    """Milliseconds since data last went out, a retransmission too (lsndtime, net/ipv4/tcp_output.c)."""
    last_data_recv: int
    last_ack_recv: int
    rtt: int
    """Smoothed, microseconds."""
    rttvar: int
    bytes_acked: int
    bytes_received: int
    """What the peer's application sent, whether ours has read it or not."""
    notsent: int
    delivered: int
    """Packets that arrived, those ahead of a gap too (SACK)."""
    bytes_sent: int
    bytes_retrans: int
    snd_wnd: int
    """The peer's receive window, bytes."""

    @classmethod
    def of(cls, raw: bytes) -> Self:
        """The same of a ``struct tcp_info`` that was read in another way, of any length."""
        return cls._make(_LAYOUT.unpack_from(raw.ljust(_SIZE, b"\0")))

    @property
    def backlog(self) -> int:
        """Bytes written and not acknowledged."""
        return max(0, self.bytes_sent - self.bytes_retrans - self.bytes_acked) + self.notsent


Fields = tuple[int, ...]
"""A reading's fields in their order, without their names, for which there is not always time."""

_unpack = _LAYOUT.unpack
_SIZE = _LAYOUT.size
_LEVEL, _OPTION = socket.IPPROTO_TCP, getattr(socket, "TCP_INFO", 11)


def read(sock: socket.socket) -> Fields:
    """Ask the kernel once; raises OSError if the socket is closed or none of TCP.

    Kernels before 5.4 tell less, which reads as 0: no window, so that nothing is taken for unread.
    """
    raw = sock.getsockopt(_LEVEL, _OPTION, _SIZE)
    return _unpack(raw if len(raw) == _SIZE else raw.ljust(_SIZE, b"\0"))
