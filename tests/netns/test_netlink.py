"""The wire format of netlink: packed data can be parsed again, and every refusal is named."""

from __future__ import annotations

import errno
import os
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfopen.netns import netlink, rtnetlink
from halfopen.netns.netlink import NetlinkRequest, attribute, find_attribute, messages, nest
from tests.isolated import isolated
from tests.machine import needs_labs

KINDS = st.integers(min_value=0, max_value=0x3FFF)
ATTRIBUTES = st.lists(st.tuples(KINDS, st.binary(max_size=20)), max_size=6)


@given(ATTRIBUTES, st.integers(min_value=0, max_value=3))
def test_every_attribute_packed_is_found_again(attributes: list[tuple[int, bytes]], skipped: int) -> None:
    body = memoryview(bytes(4 * skipped) + b"".join(attribute(kind, payload) for kind, payload in attributes))
    for kind, payload in dict(reversed(attributes)).items():
        assert bytes(find_attribute(body, 4 * skipped, kind) or b"") == payload


@given(ATTRIBUTES, KINDS)
def test_an_attribute_that_is_not_there_is_not_found(attributes: list[tuple[int, bytes]], wanted: int) -> None:
    body = memoryview(b"".join(attribute(kind, payload) for kind, payload in attributes if kind != wanted))
    assert find_attribute(body, 0, wanted) is None


@given(st.binary(max_size=9))
def test_attributes_are_padded_to_four_bytes_and_their_length_is_not(payload: bytes) -> None:
    packed = attribute(7, payload)
    assert len(packed) % 4 == 0
    assert struct.unpack_from("=HH", packed) == (4 + len(payload), 7)


def test_a_nest_holds_attributes_and_says_so() -> None:
    nested = memoryview(nest(5, attribute(1, b"one"), attribute(2, b"two")))
    inside = find_attribute(nested, 0, 5 | netlink.NLA_F_NESTED)
    assert inside is not None
    assert bytes(find_attribute(inside, 0, 2) or b"") == b"two"


@given(st.lists(st.tuples(st.integers(min_value=16, max_value=0xFFFF), st.binary(max_size=20)), max_size=5))
def test_every_message_of_a_datagram_is_read(sent: list[tuple[int, bytes]]) -> None:
    padded = [(kind, body + bytes(-len(body) % 4)) for kind, body in sent]
    datagram = b"".join(netlink.message(kind, 0, body) for kind, body in padded)
    assert [(kind, bytes(body)) for kind, body in messages(memoryview(datagram))] == padded


def test_a_refusal_is_an_oserror_that_names_what_was_refused() -> None:
    with pytest.raises(PermissionError) as refused:
        netlink.raise_for_error(memoryview(struct.pack("=i", -errno.EPERM)), "a thing")
    assert str(refused.value) == f"[Errno {errno.EPERM}] {os.strerror(errno.EPERM)}: 'a thing'"


def test_an_acknowledgement_is_no_refusal() -> None:
    netlink.raise_for_error(memoryview(bytes(4)), "a thing")


@needs_labs
@isolated
def test_the_first_refusal_is_told_the_others_are_done_and_the_socket_stays_usable() -> None:
    nowhere = 12345
    with netlink.open_socket(netlink.NETLINK_ROUTE) as sock:
        with pytest.raises(OSError, match=f"setting interface {nowhere} up") as refused:
            netlink.call(sock, rtnetlink.up(nowhere), rtnetlink.up(1), rtnetlink.delete(nowhere + 1))
        assert refused.value.errno == errno.ENODEV
        # Loopback is up although the previous request failed, and no stale answer is taken for the next one's.
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
            pass
        netlink.call(sock, rtnetlink.up(1))


@needs_labs
@isolated
def test_a_refused_dump_is_an_oserror_too() -> None:
    with netlink.open_socket(netlink.NETLINK_SOCK_DIAG) as sock:
        request = netlink.message(20, netlink.NLM_F_DUMP, b"too short")
        with pytest.raises(OSError, match="sock_diag"):
            list(netlink.dump(sock, request, "sock_diag"))


def test_a_request_needs_no_flags() -> None:
    assert NetlinkRequest("nothing", 16, b"").flags == 0
