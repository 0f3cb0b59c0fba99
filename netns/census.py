"""Find the sockets with bytes queued among thousands, cheaply enough for one poll a second.

A dump without tcp_info costs a fifth of one with it, and still reports each socket's queues (net/ipv4/tcp_diag.c,
tcp_diag_get_info). So a census dumps without tcp_info, then looks up the few sockets that have bytes queued. If they
are many, one full dump replaces the lookups. Fields are only unpacked when they are read.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from halfopen.netns import netlink, sockets, tcp_info
from halfopen.netns.sockets import FAMILIES, Address, SocketReader, SocketSample

_HEADER = struct.Struct("=IH")
_HEADER_SIZE = 16
_STATE_AT = _HEADER_SIZE + 1
#: In inet_diag_msg: wqueue, and after 4 bytes (uid) inode.
_QUEUE = struct.Struct("=I4xI")
_QUEUE_AT = 60
_TIMER_AT = 2
_LOCAL_PORT, _LOCAL_PORT_AT = struct.Struct("!H"), 4
_LOCAL_ADDRESS = slice(8, 24)
_COOKIE = slice(44, 52)
#: In struct tcp_info (halfopen.netns.tcp_info): bytes_acked, delivered.
_PROGRESS = struct.Struct("=120x Q 64x I")
#: In struct tcp_info: options at offset 5, sacked at 28.
_OPTIONS = struct.Struct("=5x B 22x I")
_TIMESTAMPS = 1

#: States of an established or closing connection. Excludes connections being set up and the kernel's minisockets.
_STATES = sum(
    1 << tcp_info.STATES.index(name)
    for name in ("ESTABLISHED", "FIN_WAIT1", "FIN_WAIT2", "CLOSE_WAIT", "LAST_ACK", "CLOSING")
)
_CLOSE_WAIT = tcp_info.STATES.index("CLOSE_WAIT")
#: If more sockets than this had bytes queued at one poll, the next poll is one full dump.
_FEW = 200
#: Largest datagram of a dump (net/netlink/af_netlink.c, netlink_dump).
_DATAGRAM = 1 << 15

#: Timers of inet_diag_msg (net/ipv4/inet_diag.c, inet_sk_diag_fill): retransmission, window probe.
RETRANSMIT, PROBE = 1, 4


class RawSample(NamedTuple):
    """One socket from a dump with tcp_info, not yet unpacked."""

    t: float
    """Time of the reading, seconds of the monotonic clock."""
    body: bytes
    """inet_diag_msg and its attributes."""

    @property
    def key(self) -> bytes:
        """The kernel's cookie of the socket, unique to it."""
        return self.body[_COOKIE]

    @property
    def state(self) -> str:
        """The state as the kernel's headers name it."""
        return tcp_info.state_name(self.body[1])

    @property
    def local(self) -> Address:
        """The address at this end."""
        (port,) = _LOCAL_PORT.unpack_from(self.body, _LOCAL_PORT_AT)
        return Address(sockets.ip_text(self.body[0], self.body[_LOCAL_ADDRESS]), port)

    @property
    def sample(self) -> SocketSample:
        """The reading as a Sample."""
        return sockets.unpack(memoryview(self.body), self.t)

    @property
    def info(self) -> bytes:
        """The struct tcp_info."""
        return bytes(netlink.find_attribute(memoryview(self.body), sockets.MSG_SIZE, sockets.INFO) or b"")

    @property
    def _tail(self) -> tuple[int, ...]:
        """Timer's expiry, queues received and sent, user and inode."""
        return sockets.MSG_TAIL.unpack_from(self.body, sockets.TAIL_AT)

    @property
    def timer(self) -> int:
        """The pending timer: RETRANSMIT, PROBE, or another."""
        return self.body[_TIMER_AT]

    @property
    def expires(self) -> float:
        """Seconds until the timer expires."""
        return self._tail[0] / 1000

    @property
    def has_timestamps(self) -> bool:
        """True if acknowledgements, also those of retransmissions, echo the timestamp they answer (RFC 7323)."""
        return bool(_OPTIONS.unpack_from(self.info)[0] & _TIMESTAMPS)

    @property
    def sacked(self) -> int:
        """Packets that arrived beyond a gap and are not yet acknowledged."""
        return int(_OPTIONS.unpack_from(self.info)[1])

    @property
    def outq(self) -> int:
        """Bytes written and not acknowledged."""
        return self._tail[2]

    @property
    def inode(self) -> int:
        """Inode of the socket; 0 if no process holds it any more."""
        return self._tail[4]

    @property
    def progress(self) -> tuple[int, ...]:
        """``bytes_acked`` and ``delivered``, which grow when the peer acknowledges; both 0 if the kernel is too old."""
        info = self.info
        return _PROGRESS.unpack_from(info) if len(info) >= _PROGRESS.size else (0, 0)


class CensusResult(NamedTuple):
    """Result of one poll."""

    states: dict[str, int]
    """Number of sockets in each state."""
    samples: list[RawSample]
    """Sockets with bytes queued or in CLOSE_WAIT, or all if requested; unordered."""


class Census(SocketReader):
    """Counts the TCP sockets of the network namespace of the thread that creates it."""

    def __init__(self) -> None:
        super().__init__()
        self._many = False

    def poll(self, ports: Iterable[int], inodes: Collection[int] | None = None, *, whole: bool = False) -> CensusResult:
        """Poll the connections whose local port is in ``ports`` (0: any) and whose socket is in ``inodes``, if given.

        With ``whole``, everything is read of all sockets, not only of those with bytes queued or in CLOSE_WAIT.
        """
        states = [0] * 256
        bodies: list[bytes] = []
        everything = whole or self._many
        for port in ports:
            for family in FAMILIES:
                request = sockets.dump_request(family, port, _STATES, with_info=everything)
                self._collect(request, states, bodies, inodes, whole)
        now = time.monotonic()
        self._many = len(bodies) > _FEW
        if everything:
            samples = [RawSample(now, body) for body in bodies]
        elif self._many:
            return self.poll(ports, inodes)
        else:
            samples = list(self._in_full(bodies))
        return CensusResult({tcp_info.state_name(n): count for n, count in enumerate(states) if count}, samples)

    def reread(self, samples: Iterable[RawSample]) -> list[RawSample]:
        """Read the same sockets again; those that are gone are left out."""
        return list(self._in_full(seen.body for seen in samples))

    def _collect(
        self, request: bytes, states: list[int], bodies: list[bytes], inodes: Collection[int] | None, whole: bool
    ) -> None:
        """Read one dump. This is one function because its loop runs ten thousand times a poll."""
        self._sock.send(request)
        header, queue, head, queue_at = _HEADER.unpack_from, _QUEUE.unpack_from, _HEADER_SIZE, _HEADER_SIZE + _QUEUE_AT
        while True:
            datagram = self._sock.recv(_DATAGRAM)
            at, end = 0, len(datagram)
            while at < end:
                length, kind = header(datagram, at)
                if kind == netlink.NLMSG_DONE:
                    return
                if kind == netlink.NLMSG_ERROR:
                    netlink.raise_for_error(memoryview(datagram)[at + head :], "sock_diag")
                    return
                queued, inode = queue(datagram, at + queue_at)
                if inodes is None or inode in inodes:
                    state = datagram[at + _STATE_AT]
                    states[state] += 1
                    if queued or whole or state == _CLOSE_WAIT:
                        bodies.append(datagram[at + head : at + length])
                at += (length + 3) & ~3

    def _in_full(self, bodies: Iterable[bytes]) -> Iterator[RawSample]:
        """Look up each socket in full; skip those that have ended meanwhile."""
        for body in bodies:
            answer = self._look_up(body, _STATES)
            if answer is not None and netlink.find_attribute(answer, sockets.MSG_SIZE, sockets.INFO) is not None:
                yield RawSample(time.monotonic(), bytes(answer))
