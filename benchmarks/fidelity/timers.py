"""Durations of waits that the kernel's timers end, by the clock of the kernel that they run on."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Sequence

from benchmarks.fidelity import stamps, waits
from benchmarks.fidelity.promises import Timer
from benchmarks.fidelity.readings import Clocks, Wait
from halfopen.netns.host import Host
from halfopen.netns.lab import Lab
from halfopen.netns.link import Link

#: Seconds to wait -> number of repetitions.
ROUNDS = {0.01: 10, 0.1: 5, 1.0: 2}
#: Used only on the virtual clock, where waiting is free.
LONG_ROUNDS = {60.0: 2}

_CLOCKS = ("CLOCK_MONOTONIC", "CLOCK_MONOTONIC_RAW", "CLOCK_BOOTTIME", "CLOCK_REALTIME", "CLOCK_TAI")
_SLEEP = 10.0
_PORT = 5090
_ETH_P_ALL = 3
_CLOCK_MONOTONIC_COARSE = 6  # linux/time.h


def jiffy() -> float:
    """The kernel's tick in seconds, which is the resolution of its coarse clocks (clock_getres(2))."""
    return time.clock_getres(_CLOCK_MONOTONIC_COARSE)


def measure(rounds: dict[float, int]) -> Iterator[Wait]:
    """Measure every way of waiting for every duration."""
    for name, (timer, way) in waits.ways().items():
        for asked, times in rounds.items():
            yield Wait(name, timer, asked, [way(asked) for _ in range(times)])


def clocks() -> Clocks:
    """Compare the clocks over a sleep, and measure whether work takes time."""
    before = _now()
    time.sleep(_SLEEP)
    after = _now()
    working = waits.elapsed(lambda: sum(n * n for n in range(5_000_000)))
    return Clocks({name: after[name] - before[name] for name in _CLOCKS}, working)


def _now() -> dict[str, float]:
    return {name: time.clock_gettime_ns(getattr(time, name)) / 1e9 for name in _CLOCKS}


def measure_tcp() -> Iterator[Wait]:
    """Measure TCP's own timers, with a client behind a router and a link that goes dark."""
    for name, waited, asked, attempt in _ATTEMPTS:
        yield Wait(name, Timer.WHEEL, asked, [_in_a_lab(attempt)], waited)


def _in_a_lab(attempt: Callable[[Host, Link, str], float]) -> float:
    with Lab() as lab:
        client, router, server = lab.host("client"), lab.router("router"), lab.host("server")
        link = lab.link(client, router)
        address = lab.link(router, server).b.ip
        with server.entered():
            listener = socket.create_server(("", _PORT))
        with listener:
            return attempt(client, link, address)


def _keepalive(client: Host, link: Link, address: str) -> float:
    with client.connect((address, _PORT), 5) as sock:
        sock.settimeout(None)
        for option, value in ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 2)):
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
        with link.cut():
            return waits.elapsed(lambda: _times_out(sock, keepalive=True))


def _user_timeout(client: Host, link: Link, address: str) -> float:
    with client.connect((address, _PORT), 5) as sock:
        sock.settimeout(None)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 10_000)
        with link.cut():
            return waits.elapsed(lambda: _times_out(sock, keepalive=False))


def _times_out(sock: socket.socket, *, keepalive: bool) -> None:
    if keepalive:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    else:
        sock.send(b"x")
    try:
        sock.recv(1)
    except TimeoutError:
        return
    raise AssertionError("the connection did not time out")


def _second_syn(client: Host, link: Link, address: str) -> float:
    """Seconds from the first SYN to the second, by the kernel's timestamps at the client's interface."""
    with client.entered():
        sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        sock = socket.socket()
    with sniffer, sock, link.cut():
        sniffer.setsockopt(socket.SOL_SOCKET, stamps.SO_TIMESTAMPNS, 1)
        sniffer.bind((link.end(client).interface, _ETH_P_ALL))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, 1)
        try:
            sock.connect((address, _PORT))
        except TimeoutError:
            first, second, *_ = _tcp_frames(sniffer)
            return (second - first) / 1e9
    raise AssertionError("the connection was established over a link that was cut")


def _tcp_frames(sniffer: socket.socket) -> Sequence[int]:
    """Return the timestamps of frames that carry TCP over IPv4, in nanoseconds."""
    sniffer.setblocking(False)
    found = []
    try:
        while True:
            frame, controls, _, _ = sniffer.recvmsg(100, 100)
            if frame[12:14] == b"\x08\x00" and frame[23] == socket.IPPROTO_TCP:
                found.append(stamps.received_at(controls))
    except BlockingIOError:
        return found


_ATTEMPTS = (
    ("TCP's first retransmission (SYN)", 1, 1.0, _second_syn),
    ("TCP keepalive, 1 s and 2 probes of 1 s", 3, 3.0, _keepalive),
    ("TCP_USER_TIMEOUT", 1, 10.0, _user_timeout),
)
