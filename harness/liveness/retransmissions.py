"""The time between retransmissions: while a path is dark, only they ask."""

from __future__ import annotations

import contextlib
import math
import socket
from pathlib import Path

# Linux 6.15, include/uapi/linux/tcp.h; in milliseconds, from 1 s to 120 s.
_TCP_RTO_MAX_MS = 44
_LEAST_RTO = 1.0
_MOST_RTO = 120.0
_FIRST_RTO = 0.2
_RETRIES = Path("/proc/sys/net/ipv4/tcp_retries2")


def bounded_rto(outage: float, longest: float) -> float | None:
    """Return the bound of the interval between retransmissions, in seconds, to fit four into an outage; None for none.

    The bound also shortens the time after which the kernel gives up. That must not become less than two outages, nor
    than the ``longest`` that is ever survived.
    """
    bound = max(_LEAST_RTO, outage / 4)
    if bound >= _MOST_RTO:
        return None
    try:
        retries = int(_RETRIES.read_text())
    except (OSError, ValueError):
        return None
    doublings = min(retries, int(math.log2(bound / _FIRST_RTO)))
    # tcp_model_timeout, net/ipv4/tcp_timer.c
    life = (2 ** (doublings + 1) - 1) * _FIRST_RTO + (retries - doublings) * bound
    return bound if life >= max(2 * outage, longest) else None


def bound_rto(sock: socket.socket, bound: float) -> None:
    """Bound it to so many seconds on a connection, if the kernel supports that."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, _TCP_RTO_MAX_MS, round(bound * 1000))
