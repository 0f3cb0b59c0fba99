"""The verdict that a client is dead, and the end of its connection."""

from __future__ import annotations

import logging
import socket
import struct
from collections.abc import Callable
from typing import Literal, NamedTuple

_LOG = logging.getLogger("halfopen.liveness")

Reason = Literal["send_stall", "no_answer", "unreachable", "peer_closed", "socket_error"]

Reap = Literal["shutdown", "reset"]
"""Method of ending a dead client's connection.

``shutdown`` leaves queued bytes to the kernel, which keeps trying to deliver them. ``reset`` has the kernel discard
them at once (SO_LINGER, socket(7)).
"""


class Death(NamedTuple):
    """The reason why a connection was ended, and its last state."""

    reason: Reason
    backlog_bytes: int
    """Bytes queued in the kernel and never acknowledged."""
    stall_s: float
    """Seconds for which nothing was acknowledged."""
    tcp_state: str


def end(sock: socket.socket, reap: Reap) -> None:
    """End a connection, which wakes threads blocked in send or recv on it; its owner must still close the descriptor.

    A reset leaves nothing behind once the owner closes it. With SO_LINGER of 0 seconds the kernel then sends RST and
    discards queued bytes (tcp_close, net/ipv4/tcp.c).
    """
    try:
        if reap == "reset":
            discard_when_closed(sock)
        # Not ssl.SSLSocket's own: that discards its keys first, and a thread sending at that moment would send in the
        # clear.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError as error:
        _LOG.debug("ending the connection: %s", error)


def discard_when_closed(sock: socket.socket) -> None:
    """Have the kernel discard queued bytes and send RST once the socket is closed; raises OSError."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def report(on_dead: Callable[[Death], object], death: Death) -> None:
    """Report a death. The connection must still be ended if the report fails, so its error is logged."""
    try:
        on_dead(death)
    except Exception:  # noqa: BLE001 (after any error the connection must still be ended)
        _LOG.exception("on_dead failed; the connection is ended all the same")


def end_dead(sock: socket.socket, reap: Reap, on_dead: Callable[[Death], object], death: Death) -> None:
    """Report a death and end the connection, even if the report fails."""
    report(on_dead, death)
    end(sock, reap)
