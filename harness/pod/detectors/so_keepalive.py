"""SO_KEEPALIVE (tcp(7)): after a third of the grace without traffic, three probes a sixth of the grace apart.

A peer with a live kernel answers them, whatever its application does. While anything is queued, the kernel sends none
(tcp_keepalive_timer, net/ipv4/tcp_timer.c).
"""

from __future__ import annotations

import socket

from halfopen.pod.detectors._seam import Settings, SocketOptions

SUMMARY = "SO_KEEPALIVE: the client's kernel answers no probe of an idle connection"

_PROBES = 3


def create(settings: Settings) -> SocketOptions:
    """Return the detector with its settings; the kernel counts whole seconds."""
    idle = max(1, round(settings.grace / 3))
    interval = max(1, round(settings.grace / 6))

    def apply(sock: socket.socket) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, idle)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, interval)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES)

    return SocketOptions(apply)
