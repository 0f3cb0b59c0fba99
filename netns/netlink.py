"""The wire format of netlink (netlink(7)), as far as the hot paths need it: requests out, messages in."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

NLMSG_ERROR = 2
NLMSG_DONE = 3
NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLM_F_REPLACE = 0x100
NLM_F_DUMP = 0x300
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLA_F_NESTED = 0x8000
_NLA_TYPE = 0x3FFF

NETLINK_ROUTE = 0
NETLINK_SOCK_DIAG = 4

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_ERRNO = struct.Struct("=i")


class NetlinkRequest(NamedTuple):
    """A request to the kernel, for :func:`call`."""

    what: str
    """Name of the request in errors."""
    kind: int
    body: bytes
    flags: int = 0


def open_socket(family: int, groups: int = 0) -> socket.socket:
    """Open a netlink socket of ``family`` in the calling thread's network namespace."""
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, family)
    # A dump of 10,000 sockets must not overrun the buffer; the kernel caps this at rmem_max.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    sock.bind((0, groups))
    return sock


def message(kind: int, flags: int, body: bytes) -> bytes:
    """Return one netlink request."""
    return _HEADER.pack(_HEADER.size + len(body), kind, flags | NLM_F_REQUEST, 0, 0) + body


def attribute(kind: int, payload: bytes) -> bytes:
    """Return one attribute, padded to four bytes."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(payload), kind) + payload + bytes(-len(payload) % 4)


def nest(kind: int, *inner: bytes) -> bytes:
    """Return one attribute that holds others."""
    return attribute(kind | NLA_F_NESTED, b"".join(inner))


def messages(datagram: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield the (type, body) of every message in a datagram."""
    at = 0
    while at + _HEADER.size <= len(datagram):
        length, kind, _, _, _ = _HEADER.unpack_from(datagram, at)
        yield kind, datagram[at + _HEADER.size : at + length]
        at += (length + 3) & ~3


def find_attribute(body: memoryview, at: int, wanted: int) -> memoryview | None:
    """Return the payload of the first attribute of type ``wanted`` at or after offset ``at``; None if missing."""
    end = len(body) - _ATTRIBUTE.size
    while at <= end:
        length, kind = _ATTRIBUTE.unpack_from(body, at)
        if kind == wanted:
            return body[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3
    return None


def attributes(body: memoryview, at: int = 0) -> dict[int, memoryview]:
    """Return the payloads of all attributes from offset ``at`` on, keyed by type; the last of duplicates wins."""
    found = {}
    while at + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, at)
        assert length >= _ATTRIBUTE.size, length
        found[kind & _NLA_TYPE] = body[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3
    return found


def raise_for_error(body: memoryview, what: str) -> None:
    """Raise OSError for the payload of an NLMSG_ERROR, unless it acknowledges success."""
    number = -_ERRNO.unpack_from(body)[0]
    if number:
        raise OSError(number, os.strerror(number), what)


def dump(sock: socket.socket, request: bytes, what: str) -> Iterator[memoryview]:
    """Send a dump request and yield the bodies of its answers; raises OSError."""
    sock.send(request)
    while True:
        for kind, body in messages(memoryview(sock.recv(1 << 18))):
            if kind == NLMSG_DONE:
                return
            if kind == NLMSG_ERROR:
                raise_for_error(body, what)
                return
            yield body


def ask(sock: socket.socket, asked: NetlinkRequest) -> memoryview:
    """Return the body of the one answer to a request; raises OSError."""
    sock.send(message(asked.kind, asked.flags, asked.body))
    kind, body = next(messages(memoryview(sock.recv(1 << 16))))
    if kind == NLMSG_ERROR:
        raise_for_error(body, asked.what)
    return body


def call(sock: socket.socket, *requests: NetlinkRequest) -> None:
    """Send all ``requests`` in one datagram, in this order; raises OSError for the first that is refused.

    The kernel tries every one, even after a failure, and answers each with a datagram of its own
    (net/netlink/af_netlink.c, netlink_rcv_skb).
    """
    sock.send(b"".join(message(asked.kind, asked.flags | NLM_F_ACK, asked.body) for asked in requests))
    refused: OSError | None = None
    for asked in requests:
        try:
            _, body = next(messages(memoryview(sock.recv(1 << 16))))
            raise_for_error(body, asked.what)
        except OSError as error:
            refused = refused or error
    if refused is not None:
        raise refused
