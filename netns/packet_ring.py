"""All packets at an interface, delivered through memory shared with the kernel.

A ring of blocks (packet(7), PACKET_RX_RING; Documentation/networking/packet_mmap.rst, TPACKET_V3). The reader wakes
once a block, not once a packet. Nor does net.core.rmem_max, which an ordinary user could not raise, limit the buffer.
"""

from __future__ import annotations

import contextlib
import mmap
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

# linux/if_packet.h
_SOL_PACKET = 263
_PACKET_RX_RING, _PACKET_STATISTICS, _PACKET_VERSION = 5, 6, 10
_TPACKET_V3 = 2
_STATUS_KERNEL, _STATUS_USER = 0, 1
_ETH_P_ALL = 3

#: tpacket_req3: size and number of blocks, size and number of frames (unused here), timeout after which a block that is
#: not full is released, size of a private area, features
_REQUEST = struct.Struct("=7I")
#: tpacket_hdr_v1, after two words: status, packets, offset of the first
_BLOCK, _BLOCK_AT = struct.Struct("=III"), 8
_STATUS = struct.Struct("=I")
#: tpacket3_hdr: offset of the next, seconds, nanoseconds, captured and original length, status, offset of the packet
_PACKET = struct.Struct("=IIIIIIH")
#: sockaddr_ll, after the header: packet type
_KIND_AT = 48 + 10
_STATISTICS = struct.Struct("=III")  # packets (dropped ones included), dropped, times that the ring was full

_BLOCK_SIZE, _BLOCKS = 1 << 20, 32
#: Milliseconds after which a block that is not full is released.
_RETIRE = 50


class Packet(NamedTuple):
    """One packet, with its Ethernet header."""

    at: int
    """Arrival time, nanoseconds of the time of day."""
    data: bytes
    length: int
    """Original length; more than that of ``data`` if the packet was truncated."""
    outgoing: bool


class PacketRing:
    """The packets of one interface, in the network namespace of the thread that creates this.

    Raises OSError: no such interface (ENODEV), no permission (EPERM).
    """

    def __init__(self, interface: str) -> None:
        with contextlib.ExitStack() as held:
            # Bound to no protocol yet, or it would see the packets of all interfaces.
            self._sock = held.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
            self._sock.setsockopt(_SOL_PACKET, _PACKET_VERSION, _TPACKET_V3)
            request = _REQUEST.pack(_BLOCK_SIZE, _BLOCKS, _BLOCK_SIZE, _BLOCKS, _RETIRE, 0, 0)
            self._sock.setsockopt(_SOL_PACKET, _PACKET_RX_RING, request)
            self._ring = held.enter_context(contextlib.closing(mmap.mmap(self._sock.fileno(), _BLOCK_SIZE * _BLOCKS)))
            self._sock.bind((interface, _ETH_P_ALL))
            self._held = held.pop_all()
        self._next = 0

    def close(self) -> None:
        """Stop capturing."""
        self._held.close()

    def fileno(self) -> int:
        """Return a descriptor to poll; it is readable as soon as a block is released."""
        return self._sock.fileno()

    def packets(self) -> Iterator[Packet]:
        """Yield the packets of all released blocks. Each block goes back to the kernel when the next is requested."""
        while True:
            at = self._next * _BLOCK_SIZE
            status, count, first = _BLOCK.unpack_from(self._ring, at + _BLOCK_AT)
            if not status & _STATUS_USER:
                return
            yield from self._of_block(at + first, count)
            _STATUS.pack_into(self._ring, at + _BLOCK_AT, _STATUS_KERNEL)
            self._next = (self._next + 1) % _BLOCKS

    def _of_block(self, at: int, count: int) -> Iterator[Packet]:
        for _ in range(count):
            following, seconds, nanoseconds, captured, length, _, begins = _PACKET.unpack_from(self._ring, at)
            data = self._ring[at + begins : at + begins + captured]
            outgoing = self._ring[at + _KIND_AT] == socket.PACKET_OUTGOING
            yield Packet(seconds * 1_000_000_000 + nanoseconds, data, length, outgoing)
            at += following

    def count(self) -> tuple[int, int]:
        """Return how many packets entered the ring, and how many were dropped for lack of space, since the last call.

        Packets in the ring may not be released yet, but will be.
        """
        # If the interface was taken down, poll(2) reports an error until it is read.
        self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        statistics = self._sock.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size)
        came, dropped, _ = _STATISTICS.unpack(statistics)
        return came - dropped, dropped
