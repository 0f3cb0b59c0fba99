"""Numbered packets from one host to another, and their arrivals: time, order and shape."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from halfopen.netns.host import Host
from halfopen.netns.impairment import NONE, Impairment
from halfopen.netns.lab import Lab
from halfopen.netns.link import Link

_SO_SNDBUFFORCE = 32
_SO_RCVBUFFORCE = 33
_SO_TIMESTAMPNS = 35  # include/uapi/asm-generic/socket.h
_ETH_P_ALL = 3
#: Bytes of Ethernet, IPv4 and UDP headers.
HEADERS = 14 + 20 + 8
_HEAD = struct.Struct("=IQ")  # number, time of sending in ns
_TIMESPEC = struct.Struct("=qq")
_PORT = 9


class Arrival(NamedTuple):
    """A packet that arrived."""

    number: int
    at: float
    """Seconds since the first one was sent."""
    delay: float
    """Seconds since it was sent."""


@dataclass(frozen=True, slots=True)
class Wire:
    """a ──▶ b"""

    link: Link
    a: Host
    b: Host
    sender: socket.socket
    tap: socket.socket
    """Sees all frames at b, including broken ones."""

    def impair(self, impairment: Impairment) -> None:
        self.link.impair(self.b, impairment)

    def send(self, count: int, *, size: int = 100, every: float = 0.0, first: int = 0) -> None:
        """Send UDP packets whose frames have ``size`` bytes."""
        ip, filler = self.link.end(self.b).ip, bytes(size - HEADERS - _HEAD.size)
        for number in range(first, first + count):
            sent = time.clock_gettime_ns(time.CLOCK_REALTIME)
            self.sender.sendto(_HEAD.pack(number, sent) + filler, (ip, _PORT))
            if every:
                time.sleep(every)

    def send_frames(self, frame: bytes, count: int) -> None:
        """Send frames as they are, without padding."""
        with self.a.entered(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
            raw.bind((self.link.end(self.a).interface, 0))
            raw.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, 64 << 20)
            for _ in range(count):
                raw.send(frame)

    def settle(self) -> None:
        """Wait until nothing is in flight."""
        while self.link.does(self.b).queued:
            time.sleep(0.1)

    def frames(self) -> Iterator[tuple[bytes, int]]:
        """Settle. Yield each frame since the last call, with the kernel's time of its arrival in ns."""
        self.settle()
        with contextlib.suppress(BlockingIOError):
            while True:
                frame, [(_, _, stamp)], _, _ = self.tap.recvmsg(1 << 16, 100)
                seconds, nanoseconds = _TIMESPEC.unpack(stamp)
                yield frame, seconds * 1_000_000_000 + nanoseconds

    def arrivals(self) -> list[Arrival]:
        """Return the packets that came since the last call."""
        came = [(*_HEAD.unpack_from(frame, HEADERS), at) for frame, at in self.frames()]
        begun = min((sent for _, sent, _ in came), default=0)
        return [Arrival(number, (at - begun) / 1e9, (at - sent) / 1e9) for number, sent, at in came]

    def through(self, impairment: Impairment, count: int, **how: float) -> list[Arrival]:
        """Impair the link, send packets, at once unless ``how`` says otherwise, and return the arrivals."""
        self.impair(impairment)
        self.send(count, **how)  # type: ignore[arg-type]
        return self.arrivals()


@contextlib.contextmanager
def wire(impairment: Impairment = NONE) -> Iterator[Wire]:
    with Lab() as lab, contextlib.ExitStack() as held:
        a, b = lab.host("a"), lab.host("b")
        for host in (a, b):
            _without_ipv6(host)
        link = lab.link(a, b)
        with b.entered():
            # A listener, since b would otherwise answer every packet.
            listener = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            listener.bind(("", _PORT))
            tap = held.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL)))
        tap.bind((link.end(b).interface, _ETH_P_ALL))
        tap.setblocking(False)
        tap.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 64 << 20)
        tap.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        with a.entered():
            sender = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        sender.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, 64 << 20)
        link.impair(b, impairment)
        yield Wire(link, a, b, sender, tap)


def _without_ipv6(host: Host) -> None:
    """Otherwise the host would look for neighbours and routers, and its packets would be counted too."""
    with host.entered():
        Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")
