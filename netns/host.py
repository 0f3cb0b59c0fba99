"""A host: a network namespace without a name, held by a file descriptor, in which processes run."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from pyroute2 import IPRoute

from netns import _libc, netlink
from netns.sockets import DestroyListener, SocketReader

_T = TypeVar("_T")

# include/uapi/linux/rtnetlink.h, if_link.h, ip.h
_RTM_SETLINK = 19
_IFLA_AF_SPEC = 26
_IFLA_INET_CONF = 1
_IPV4_DEVCONF_FORWARDING = 1
_NLA_F_NESTED = 0x8000

LOOPBACK = 1
"""The interface index of ``lo`` in every network namespace."""


class Host:
    """One network namespace; it lives as long as something holds it: this object, a process, a socket.

    Methods may be called from any thread, but not from two at once.
    """

    def __init__(self, name: str, *, is_router: bool = False) -> None:
        self.name = name
        self.is_router = is_router
        self.has_default_route = False
        self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._fd = self._create()
            self._routes = self._inside(IPRoute)
        except BaseException:
            os.close(self._home)
            raise
        self._routes.link("set", index=LOOPBACK, state="up")

    def _create(self) -> int:
        _libc.unshare(_libc.CLONE_NEWNET)
        try:
            return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            _libc.setns(self._home, _libc.CLONE_NEWNET)

    def __repr__(self) -> str:
        return f"Host({self.name!r})"

    def fileno(self) -> int:
        """The descriptor that holds the namespace; whoever inherits it keeps the host alive."""
        return self._fd

    @property
    def routes(self) -> IPRoute:
        """rtnetlink of this host: links, addresses, routes, qdiscs."""
        return self._routes

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Have the calling thread (no other) act inside the host."""
        _libc.setns(self._fd, _libc.CLONE_NEWNET)
        try:
            yield
        finally:
            _libc.setns(self._home, _libc.CLONE_NEWNET)

    def _inside(self, make: Callable[[], _T]) -> _T:
        with self.entered():
            return make()

    def spawn(self, command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        """Start a process in the host, in a session of its own; ``options`` are those of subprocess.Popen.

        In a session of its own because the kernel resumes a stopped process whose group is orphaned
        (setpgid(2)), which would silently undo a freeze. Raises OSError if it cannot be started.
        """
        with self.entered():
            return subprocess.Popen(command, start_new_session=True, **options)

    def connect(self, address: tuple[str, int], timeout: float) -> socket.socket:
        """A TCP connection made from inside the host; ``timeout`` in seconds; raises OSError."""
        with self.entered():
            return socket.create_connection(address, timeout)

    def socket_reader(self) -> SocketReader:
        """A reader of this host's TCP sockets."""
        return self._inside(SocketReader)

    def destroy_listener(self) -> DestroyListener:
        """A listener for the ends of this host's TCP sockets."""
        return self._inside(DestroyListener)

    def forward(self, index: int) -> None:
        """Let the host route IPv4 packets that arrive at interface ``index``.

        By netlink rather than /proc/sys, which containers mount read-only
        (net/ipv4/devinet.c, inet_set_link_af).
        """
        conf = netlink.attribute(_IPV4_DEVCONF_FORWARDING, (1).to_bytes(4, "little"))
        inet = netlink.attribute(_IFLA_INET_CONF | _NLA_F_NESTED, conf)
        family = netlink.attribute(socket.AF_INET | _NLA_F_NESTED, inet)
        body = bytes(4) + index.to_bytes(4, "little") + bytes(8)
        body += netlink.attribute(_IFLA_AF_SPEC | _NLA_F_NESTED, family)
        request = netlink.message(_RTM_SETLINK, netlink.NLM_F_ACK, body)
        with self._inside(lambda: netlink.open_socket(netlink.NETLINK_ROUTE)) as sock:
            netlink.call(sock, request, f"forwarding on {self.name}")

    def route_by_default(self, gateway: str) -> None:
        """Send what has no better route to ``gateway``."""
        self._routes.route("add", dst="0.0.0.0/0", gateway=gateway)
        self.has_default_route = True

    def close(self) -> None:
        """End every TCP connection of the host and let go of the namespace.

        A connection which still has bytes to send would otherwise keep the namespace in the kernel
        for minutes after the last process is gone.
        """
        with contextlib.closing(self.socket_reader()) as reader:
            for sample in reader.connections():
                reader.destroy(sample)
        self._routes.close()
        os.close(self._fd)
        os.close(self._home)
