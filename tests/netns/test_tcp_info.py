"""struct tcp_info: parsed fields agree with the kernel's own texts, whatever the structure's length."""

from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfopen.netns import tcp_info
from halfopen.netns.lab import Lab
from tests.isolated import isolated
from tests.machine import needs_labs
from tests.netns.network import eventually, loopback, receive, stall

#: Offset of each field in include/uapi/linux/tcp.h, and its format.
LAYOUT = {
    "state": (0, "=B"),
    "retransmits": (2, "=B"),
    "probes": (3, "=B"),
    "backoff": (4, "=B"),
    "rto": (8, "=I"),
    "unacked": (24, "=I"),
    "last_data_sent": (44, "=I"),
    "last_ack_recv": (56, "=I"),
    "total_retrans": (100, "=I"),
    "bytes_acked": (120, "=Q"),
    "notsent": (144, "=I"),
    "rwnd_limited": (176, "=Q"),
    "delivered": (192, "=I"),
    "bytes_retrans": (208, "=Q"),
    "snd_wnd": (228, "=I"),
}
#: Length in Linux 2.6.
OLDEST = 104


def read(sock: socket.socket) -> tcp_info.TcpInfo:
    return tcp_info.parse(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, tcp_info.MAX_SIZE))


@given(st.binary(min_size=OLDEST, max_size=300))
def test_every_field_is_where_the_kernel_puts_it_or_none_where_the_structure_ends_before(raw: bytes) -> None:
    info = tcp_info.parse(raw)
    for name, (at, packing) in LAYOUT.items():
        there = at + struct.calcsize(packing) <= len(raw)
        assert getattr(info, name) == (struct.unpack_from(packing, raw, at)[0] if there else None), name


@given(st.binary(min_size=OLDEST, max_size=300))
def test_a_view_reads_as_bytes_do(raw: bytes) -> None:
    assert tcp_info.parse(memoryview(raw)) == tcp_info.parse(raw)


def test_a_kernel_of_2015_knows_bytes_acked_and_not_the_window() -> None:
    info = tcp_info.parse(bytes(128))
    assert (info.bytes_acked, info.notsent, info.snd_wnd) == (0, None, None)


@pytest.mark.parametrize(("number", "name"), [(1, "ESTABLISHED"), (7, "CLOSE"), (10, "LISTEN"), (99, "99")])
def test_states_have_the_kernels_names(number: int, name: str) -> None:
    assert tcp_info.state_name(number) == name
    assert tcp_info.parse(bytes([number]) + bytes(231)).state_name == name


@needs_labs
@isolated
def test_a_live_socket_has_acknowledged_what_was_sent() -> None:
    with Lab() as lab, loopback(lab.host("host")) as (client, server):
        assert read(client).bytes_acked == 1  # the SYN counts as one (tcp_ack, snd_una)
        client.sendall(bytes(1000))
        eventually(lambda: read(client).bytes_acked == 1001, "1000 bytes acknowledged")
        info = read(client)
        assert (info.state_name, info.unacked, info.notsent, info.retransmits) == ("ESTABLISHED", 0, 0, 0)
        assert info.delivered is not None
        assert info.delivered >= 1
        assert info.snd_wnd
        assert info.rto >= 200_000  # TCP_RTO_MIN, in microseconds
        receive(server, 1000)  # otherwise its close would be a reset
        server.close()
        eventually(lambda: read(client).state_name == "CLOSE_WAIT", "the client hears that the server closed")


@needs_labs
@isolated
def test_a_reader_that_reads_nothing_shows_as_a_closed_window() -> None:
    with Lab() as lab, loopback(lab.host("host")) as (client, _):
        client.setblocking(False)
        sent = stall(client)
        info = read(client)
        assert info.snd_wnd == 0
        assert info.notsent
        assert info.bytes_acked is not None
        assert 0 < info.bytes_acked <= sent + 1
        assert info.notsent + info.bytes_acked >= sent
        eventually(lambda: (read(client).rwnd_limited or 0) > 0, "time spent limited by the window")
