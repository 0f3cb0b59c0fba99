"""One poll of a connection: one getsockopt(TCP_INFO), from which the rule's fields are unpacked."""

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
    """The kernel's data on a connection, under the kernel's names (include/uapi/linux/tcp.h)."""

    state: int
    probes: int
    """Unanswered probes of a closed window or of an idle peer."""
    unacked: int
    """Packets sent and not acknowledged."""
    last_data_sent: int
    """Milliseconds since data was last sent or retransmitted (lsndtime, net/ipv4/tcp_output.c)."""
    last_data_recv: int
    last_ack_recv: int
    rtt: int
    """Smoothed, microseconds."""
    rttvar: int
    bytes_acked: int
    bytes_received: int
    """Bytes sent by the peer's application, also those that ours has not read."""
    notsent: int
    delivered: int
    """Packets that arrived, including those beyond a gap (SACK)."""
    bytes_sent: int
    bytes_retrans: int
    snd_wnd: int
    """The peer's receive window, bytes."""

    @classmethod
    def of(cls, raw: bytes) -> Self:
        """Return a reading from a ``struct tcp_info`` of any length that was obtained in another way."""
        return cls._make(_LAYOUT.unpack_from(raw.ljust(_SIZE, b"\0")))

    @property
    def backlog(self) -> int:
        """Bytes written and not acknowledged."""
        return max(0, self.bytes_sent - self.bytes_retrans - self.bytes_acked) + self.notsent


Fields = tuple[int, ...]
"""A reading's fields in their order, without names, which would take too long in hot paths."""

_unpack = _LAYOUT.unpack
_SIZE = _LAYOUT.size
_SO_MEMINFO = 55
_MEMORY = struct.Struct("=II")
_LEVEL, _OPTION = socket.IPPROTO_TCP, getattr(socket, "TCP_INFO", 11)


def read(sock: socket.socket) -> Fields:
    """Query the kernel once; raises OSError if the socket is closed or is not a TCP socket.

    Kernels before 5.4 report fewer fields. The rest read as 0: no window, so that nothing counts as unread.
    """
    raw = sock.getsockopt(_LEVEL, _OPTION, _SIZE)
    return _unpack(raw if len(raw) == _SIZE else raw.ljust(_SIZE, b"\0"))


def leaves_input_unread(sock: socket.socket) -> bool:
    """True if so much input is unread that the peer may have no room to send more.

    The window is shut when the receive buffer is nearly full (tcp_select_window, net/ipv4/tcp_output.c). SO_MEMINFO
    (Linux 4.12) begins with the memory in use and the buffer's size (sk_get_meminfo, net/core/sock.c).
    """
    try:
        used, size = _MEMORY.unpack(sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMORY.size))
    except OSError:  # an older kernel, or a closed socket
        return False
    return bool(used > size // 2)
