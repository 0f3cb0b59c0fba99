"""Packets with the kernel's own timestamps (Documentation/networking/timestamping.rst).

An outgoing packet is stamped when it enters the interface's queueing discipline (SOF_TIMESTAMPING_TX_SCHED). An
incoming packet is stamped when the kernel takes it from the interface (SO_TIMESTAMPNS).
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from halfopen.netns.host import Host

# asm-generic/socket.h, linux/net_tstamp.h, linux/errqueue.h
SO_TIMESTAMPNS = 35
_SO_TIMESTAMPING = 37
_SO_RCVBUFFORCE = 33
_TX_SCHED = 1 << 8
_SOFTWARE = 1 << 4
_OPT_ID = 1 << 7
_OPT_TSONLY = 1 << 11
_IP_RECVERR = 11
#: Offset of the packet's number in sock_extended_err, after errno, origin, type, code, padding and info.
_NUMBER_AT = 12
_TIMESPEC = struct.Struct("=qq")

#: Bytes. Large enough that nothing is lost between the kernel and this process.
_BUFFER = 256 << 20
_PORT = 5091
#: Ethernet, IPv4 and UDP headers.
HEADERS = 14 + 20 + 8
#: Seconds of silence after which missing packets count as lost. Longer than any delay used here.
_SILENCE = 1.0


@dataclass(frozen=True)
class Flight:
    """Send and arrival times of packets between two hosts, in nanoseconds of CLOCK_REALTIME by packet number."""

    sent: dict[int, int] = field(default_factory=dict)
    received: dict[int, int] = field(default_factory=dict)

    @property
    def delays(self) -> list[float]:
        """Delays of the packets that arrived, in seconds."""
        return [(at - self.sent[number]) / 1e9 for number, at in sorted(self.received.items())]


def send(here: Host, there: Host, address: str, *, frame: int, interval: float, count: int) -> Flight:
    """Send ``count`` frames of ``frame`` bytes, one every ``interval`` seconds, and wait for those that arrive."""
    with here.entered():
        sender = socket.socket(type=socket.SOCK_DGRAM)
    with there.entered():
        receiver = socket.socket(type=socket.SOCK_DGRAM)
    flight = Flight()
    with sender, receiver:
        for sock in (sender, receiver):
            sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        receiver.bind(("", _PORT))
        receiver.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sender.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPING, _TX_SCHED | _SOFTWARE | _OPT_ID | _OPT_TSONLY)
        sender.connect((address, _PORT))
        start = time.monotonic()
        for number in range(count):
            if (ahead := start + number * interval - time.monotonic()) > 0:
                time.sleep(ahead)
            sender.send(number.to_bytes(4, "little") + bytes(frame - HEADERS - 4))
        _read_sent(sender, flight)
        _read_received(receiver, flight)
    assert len(flight.sent) == count, f"{count} packets sent, {len(flight.sent)} stamped"
    return flight


def _read_sent(sender: socket.socket, flight: Flight) -> None:
    with contextlib.suppress(BlockingIOError):
        while True:
            _, controls, _, _ = sender.recvmsg(0, 200, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
            error = _control(controls, socket.IPPROTO_IP, _IP_RECVERR)
            number = int.from_bytes(error[_NUMBER_AT : _NUMBER_AT + 4], "little")
            flight.sent[number] = _nanoseconds(_control(controls, socket.SOL_SOCKET, _SO_TIMESTAMPING))


def _read_received(receiver: socket.socket, flight: Flight) -> None:
    receiver.settimeout(_SILENCE)
    with contextlib.suppress(TimeoutError):
        while True:
            payload, controls, _, _ = receiver.recvmsg(4, 100)
            flight.received[int.from_bytes(payload, "little")] = received_at(controls)


def received_at(controls: Sequence[tuple[int, int, bytes]]) -> int:
    """Return a message's SO_TIMESTAMPNS (socket(7)) in nanoseconds of CLOCK_REALTIME."""
    return _nanoseconds(_control(controls, socket.SOL_SOCKET, SO_TIMESTAMPNS))


def _control(controls: Sequence[tuple[int, int, bytes]], level: int, kind: int) -> bytes:
    return next(data for *of, data in controls if of == [level, kind])


def _nanoseconds(timespec: bytes) -> int:
    seconds, nanoseconds = _TIMESPEC.unpack_from(timespec)
    return int(seconds * 10**9 + nanoseconds)
