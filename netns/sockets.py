"""The kernel's data on every TCP socket of a host, read from outside the processes that own them.

One sock_diag dump (sock_diag(7), net/ipv4/inet_diag.c) reads all sockets of a port, filtered in the kernel. A few
structs unpack it here. pyroute2's general decoder takes 3.4 s for 10,000 connections, more than ten times as long.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import ipaddress
import socket
import struct
import time
from typing import NamedTuple

from halfopen.netns import netlink, tcp_info
from halfopen.netns.lab_errors import UnsupportedError
from halfopen.netns.tcp_info import TcpInfo

_SOCK_DIAG_BY_FAMILY = 20
_SOCK_DESTROY = 21
INFO = 2
_NLMSG_MIN_TYPE = 0x10
ENDED = 0x60
"""Message type of our guest kernels only (halfopen.netns.guest.patches.end_notices): the local side ended."""

# inet_diag_req_v2: family, protocol, extensions, pad, states | sport, dport | src, dst | interface, cookie
_REQUEST = struct.Struct("=BBBxI")
_ID_PORTS = struct.Struct("!HH")
_ID_REST = struct.Struct("=16s16sIQ")
# inet_diag_msg: family, state, timer, retrans, ports and addresses (in network order) | interface, cookie |
# expires, rqueue, wqueue, uid, inode
_MSG_HEAD = struct.Struct("!BB2xHH16s16s")
MSG_TAIL = struct.Struct("=5I")
MSG_SIZE = 72
_COOKIE_AT = 44
TAIL_AT = 52

_WITH_INFO = 1 << (INFO - 1)
_LISTEN = 1 << tcp_info.STATES.index("LISTEN")
# Sockets in TIME_WAIT and NEW_SYN_RECV are minisockets without a tcp_info.
_CONNECTIONS = sum(
    1 << number for number, name in enumerate(tcp_info.STATES) if name not in {"LISTEN", "TIME_WAIT", "NEW_SYN_RECV"}
)
#: sknetlink_groups, include/uapi/linux/sock_diag.h: SKNLGRP_INET_TCP_DESTROY = 1, ..._INET6_... = 3
_DESTROY_GROUPS = (1 << 0) | (1 << 2)

#: INET_DIAG_SKV6ONLY (linux/inet_diag.h)
_V6ONLY = 11

#: struct timeval
_TIMEVAL = struct.Struct("@ll")

FAMILIES = (socket.AF_INET, socket.AF_INET6)


class Address(NamedTuple):
    """One end of a connection. IPv4 addresses mapped into IPv6 are shown as IPv4."""

    ip: str
    port: int

    def __str__(self) -> str:
        return f"{self.ip}:{self.port}" if ":" not in self.ip else f"[{self.ip}]:{self.port}"


class SocketSample(NamedTuple):
    """One reading of one socket."""

    t: float
    """Time of the reading, seconds of the monotonic clock."""
    local: Address
    remote: Address
    state: str
    outq: int
    """Bytes written and not yet acknowledged (the same as SIOCOUTQ)."""
    rqueue: int
    """Bytes received and not yet read."""
    inode: int
    """Inode of the socket; 0 if no process holds it any more (an orphan)."""
    info: TcpInfo | None
    raw: bytes
    """The kernel's identification of the socket, for :meth:`SocketReader.destroy`."""


class QueueState(NamedTuple):
    """The minimum that shows a change of a socket."""

    state: str
    outq: int
    """Bytes written and not yet acknowledged."""


class Announcement(NamedTuple):
    """An unsolicited message from the kernel about a socket."""

    sample: SocketSample
    is_destroyed: bool
    """True if the socket no longer exists; False if its own side ended the session."""


class Timeouts(NamedTuple):
    """The limits after which the kernel itself ends a connection or a send, in seconds; None for those not set."""

    keepalive_idle: float | None
    """TCP_KEEPIDLE, if SO_KEEPALIVE is set (socket(7), tcp(7))."""
    keepalive_interval: float | None
    keepalive_count: int | None
    user_timeout: float | None
    """TCP_USER_TIMEOUT."""
    send_timeout: float | None
    """SO_SNDTIMEO."""


def timeouts(sock: socket.socket) -> Timeouts:
    """Read a socket's limits; raises OSError."""
    tcp, level = socket.IPPROTO_TCP, socket.SOL_SOCKET
    keeps_alive = bool(sock.getsockopt(level, socket.SO_KEEPALIVE))
    user_timeout = sock.getsockopt(tcp, socket.TCP_USER_TIMEOUT)
    seconds, microseconds = _TIMEVAL.unpack(sock.getsockopt(level, socket.SO_SNDTIMEO, _TIMEVAL.size))
    return Timeouts(
        keepalive_idle=float(sock.getsockopt(tcp, socket.TCP_KEEPIDLE)) if keeps_alive else None,
        keepalive_interval=float(sock.getsockopt(tcp, socket.TCP_KEEPINTVL)) if keeps_alive else None,
        keepalive_count=sock.getsockopt(tcp, socket.TCP_KEEPCNT) if keeps_alive else None,
        user_timeout=user_timeout / 1000 or None,
        send_timeout=seconds + microseconds / 1e6 or None,
    )


def identity(sample: SocketSample) -> bytes:
    """Return a socket's unique key: its family and the kernel's cookie. It stays valid when the addresses are gone."""
    return sample.raw[:1] + sample.raw[_COOKIE_AT:TAIL_AT]


def torn(sample: SocketSample, before: SocketSample) -> bool:
    """True if a reading mixes a socket's state before its end with that after it; ``before`` is an earlier sample.

    A dump notes state and queues, then waits for the socket's lock to read the rest (tcp_get_info, net/ipv4/tcp.c). An
    abort that held the lock has set all counters to zero by then (tcp_disconnect).
    """
    now, then = sample.info, before.info
    if now is None or then is None or now.bytes_acked is None or then.bytes_acked is None:
        return False
    return now.bytes_acked < then.bytes_acked


class SocketReader:
    """Reads the TCP sockets of the network namespace of the thread that creates it."""

    def __init__(self) -> None:
        self._sock = netlink.open_socket(netlink.NETLINK_SOCK_DIAG)

    def close(self) -> None:
        """Close the netlink socket."""
        self._sock.close()

    def reopen(self) -> None:
        """Begin again after an error, in the calling thread's network namespace; raises OSError.

        Answers to an earlier request may be waiting.
        """
        fresh = netlink.open_socket(netlink.NETLINK_SOCK_DIAG)
        self._sock.close()
        self._sock = fresh

    def connections(self, port: int = 0) -> list[SocketSample]:
        """Return a sample of every connection whose local port is ``port`` (0: of every connection)."""
        return self._samples(port, _CONNECTIONS)

    def listeners(self, port: int = 0) -> list[SocketSample]:
        """Return a sample of every listening socket, at ``port`` or (0) at any port."""
        return self._samples(port, _LISTEN)

    def _samples(self, port: int, states: int) -> list[SocketSample]:
        return [
            unpack(body, time.monotonic())
            for family in FAMILIES
            for body in netlink.dump(self._sock, dump_request(family, port, states), "sock_diag")
        ]

    def again(self, sample: SocketSample) -> SocketSample | None:
        """Read the same socket again by one lookup instead of a dump; None if it is gone or in TIME_WAIT.

        The lookup uses its addresses and cookie (net/ipv4/inet_diag.c, inet_diag_find_one_icsk).
        """
        body = self._look_up(sample.raw)
        fresh = None if body is None else unpack(body, time.monotonic())
        return None if fresh is None or fresh.info is None else fresh

    def queue_state(self, sample: SocketSample) -> QueueState | None:
        """Read only state and queue of the same socket, at a tenth of the cost of a full reading; None if gone."""
        body = self._look_up(sample.raw, extensions=0)
        if body is None:
            return None
        _, _, outq, _, _ = MSG_TAIL.unpack_from(body, TAIL_AT)
        return QueueState(tcp_info.state_name(body[1]), outq)

    def _look_up(self, raw: bytes, states: int = _CONNECTIONS, extensions: int = _WITH_INFO) -> memoryview | None:
        """Return the message on the one socket of this inet_diag_msg; None if it is gone."""
        head = _REQUEST.pack(raw[0], socket.IPPROTO_TCP, extensions, states)
        self._sock.send(netlink.message(_SOCK_DIAG_BY_FAMILY, 0, head + raw[4:TAIL_AT]))
        kind, body = next(netlink.messages(memoryview(self._sock.recv(1 << 16))))
        if kind != netlink.NLMSG_ERROR:
            return body
        try:
            netlink.raise_for_error(body, "sock_diag")
        except OSError as error:
            # ESTALE: another socket has the addresses by now.
            if error.errno not in (errno.ENOENT, errno.ESTALE):
                raise
        return None

    def refuses_ipv4(self, port: int) -> bool:
        """True if every socket that listens on ``port`` is for IPv6 only (IPV6_V6ONLY, ipv6(7))."""
        flags: list[bool] = []
        for family in FAMILIES:
            for body in netlink.dump(self._sock, dump_request(family, port, _LISTEN), "sock_diag"):
                flag = netlink.find_attribute(body, MSG_SIZE, _V6ONLY)
                flags.append(family == socket.AF_INET6 and flag is not None and bool(flag[0]))
        return bool(flags) and all(flags)

    def destroy(self, sample: SocketSample) -> bool:
        """Abort a connection with a reset (SOCK_DESTROY, as ``ss -K`` does); False if it was already gone.

        Raises UnsupportedError if the kernel cannot.
        """
        family = sample.raw[0]
        head = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, _CONNECTIONS)
        body = head + sample.raw[4:TAIL_AT]
        try:
            netlink.call(self._sock, netlink.NetlinkRequest("SOCK_DESTROY", _SOCK_DESTROY, body))
        except OSError as error:
            if error.errno == errno.ENOENT:
                return False
            if error.errno == errno.EOPNOTSUPP:
                raise UnsupportedError("this kernel aborts no connections (CONFIG_INET_DIAG_DESTROY)") from None
            raise
        return True

    def refusal_to_destroy(self) -> int:
        """Return the errno with which the kernel refuses SOCK_DESTROY; 0 if it permits it.

        The permission is checked last (sock_diag_destroy, net/core/sock_diag.c). So this destroys a listener of its
        own, at the loopback of the calling thread's network namespace.
        """
        try:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                for sample in self.listeners(listener.getsockname()[1]):
                    self.destroy(sample)
        except UnsupportedError:
            return errno.EOPNOTSUPP
        except OSError as error:
            return error.errno or errno.EPERM
        return 0


class EndListener:
    """Receives the kernel's announcement of every TCP socket of a namespace that ceases to exist.

    A socket that lingers (an orphan in FIN_WAIT1, say) is only announced when the kernel releases it. Our guest kernels
    also announce that a socket leaves the states in which its session is open (:func:`announces_ends`).
    """

    def __init__(self) -> None:
        self._sock = netlink.open_socket(netlink.NETLINK_SOCK_DIAG, _DESTROY_GROUPS)
        self._sock.setblocking(False)

    def fileno(self) -> int:
        """The descriptor to select(2) on."""
        return self._sock.fileno()

    def close(self) -> None:
        """Stop listening."""
        self._sock.close()

    def read(self) -> list[Announcement]:
        """Return all announcements since the last call; never blocks."""
        announcements: list[Announcement] = []
        while True:
            try:
                datagram = memoryview(self._sock.recv(1 << 16))
            except BlockingIOError:
                return announcements
            except OSError as error:
                # ENOBUFS: more sockets ended at once than the buffer holds. The dumps still show which are left.
                if error.errno != errno.ENOBUFS:
                    raise
                continue
            now = time.monotonic()
            announcements.extend(
                Announcement(unpack(body, now), kind != ENDED)
                for kind, body in netlink.messages(datagram)
                if kind >= _NLMSG_MIN_TYPE
            )


def announces_ends() -> bool:
    """True if this kernel announces the end of a session; tested with one over the loopback of this namespace.

    Raises OSError if the loopback is down.
    """
    with (
        contextlib.closing(EndListener()) as listener,
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as session,
    ):
        session.shutdown(socket.SHUT_WR)
        return any(not announced.is_destroyed for announced in listener.read())


def dump_request(family: int, port: int, states: int, *, with_info: bool = True) -> bytes:
    """Return the request for all sockets in ``states`` (a bit each) whose local port is ``port`` (0: any)."""
    body = (
        _REQUEST.pack(family, socket.IPPROTO_TCP, _WITH_INFO if with_info else 0, states)
        + _ID_PORTS.pack(port, 0)
        + _ID_REST.pack(bytes(16), bytes(16), 0, 0)
    )
    return netlink.message(_SOCK_DIAG_BY_FAMILY, netlink.NLM_F_DUMP, body)


def unpack(body: memoryview, now: float) -> SocketSample:
    """Return the sample in an inet_diag_msg with its attributes, read at ``now`` of the monotonic clock."""
    family, state, source_port, destination_port, source, destination = _MSG_HEAD.unpack_from(body)
    _, rqueue, wqueue, _, inode = MSG_TAIL.unpack_from(body, TAIL_AT)
    info = netlink.find_attribute(body, MSG_SIZE, INFO)
    return SocketSample(
        now,
        Address(ip_text(family, source), source_port),
        Address(ip_text(family, destination), destination_port),
        tcp_info.state_name(state),
        wqueue,
        rqueue,
        inode,
        None if info is None else tcp_info.parse(info),
        bytes(body[:MSG_SIZE]),
    )


# Ten thousand clients seldom have ten thousand addresses.
@functools.lru_cache(maxsize=1024)
def ip_text(family: int, raw: bytes) -> str:
    """Return an IP address as text."""
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, raw[:4])
    mapped = ipaddress.IPv6Address(raw).ipv4_mapped
    return str(mapped) if mapped else socket.inet_ntop(socket.AF_INET6, raw)
