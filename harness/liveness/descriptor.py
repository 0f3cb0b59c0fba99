"""Sockets that somebody else owns and may close at any time: event loops, and servers whose code we do not see."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Self

from halfopen.liveness.death import Reap, end

_SO_COOKIE = getattr(socket, "SO_COOKIE", 57)
_COOKIE_BYTES = 8
_SOL_SOCKET = socket.SOL_SOCKET


def cookie(sock: socket.socket) -> bytes:
    """Return the kernel's name of a socket, which no other socket ever has; raises OSError."""
    return sock.getsockopt(_SOL_SOCKET, _SO_COOKIE, _COOKIE_BYTES)


class BorrowedSocket(socket.socket):
    """A socket object on a descriptor that it does not own. It never closes the descriptor.

    A descriptor's number is used again once it is closed. The cookie is not: the kernel gives every socket another one
    (SO_COOKIE, sock_gen_cookie in net/core/sock_diag.c, Linux 4.12).
    """

    def __init__(self, descriptor: int) -> None:
        """Raises OSError if the descriptor is closed, or is no socket."""
        super().__init__(fileno=descriptor)
        self.cookie = cookie(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.detach()

    def __del__(self) -> None:
        # The interpreter would close the descriptor, which is not ours.
        self.detach()

    def is_tcp(self) -> bool:
        """True for TCP over IPv4 or IPv6."""
        return self.proto == socket.IPPROTO_TCP and self.type == socket.SOCK_STREAM

    def is_same(self) -> bool:
        """True if the descriptor is still the one of this socket."""
        try:
            return cookie(self) == self.cookie
        except OSError:
            return False

    def end(self, reap: Reap) -> None:
        """End the connection and no other, even if another thread closes the descriptor at this moment."""
        try:
            descriptor = os.dup(self.fileno())
        except OSError:  # closed, or no number is free for a duplicate (EMFILE)
            if self.is_same():
                end(self, reap)
            return
        with contextlib.suppress(OSError), socket.socket(fileno=descriptor) as duplicate:
            if cookie(duplicate) == self.cookie:
                end(duplicate, reap)
