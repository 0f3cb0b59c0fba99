"""Samples from outside agree with the kernel's answers to the socket's own process; destroy and its announcement."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from halfopen.netns import netlink, tcp_info
from halfopen.netns.host import Host
from halfopen.netns.lab import Lab
from halfopen.netns.lab_errors import UnsupportedError
from halfopen.netns.sockets import Address, EndListener, SocketSample, Timeouts, identity, timeouts
from tests.in_guest import in_guest
from tests.isolated import isolated
from tests.machine import UNPRIVILEGED, needs_guest, needs_labs, needs_unshare
from tests.netns.network import (
    PORT,
    address_of,
    connection,
    eventually,
    listen,
    loopback,
    network,
    receive,
    sample_of,
    stall,
)

pytestmark = needs_labs

#: As in proc(5), net/tcp.
TIME_WAIT = "06"
_SIOCOUTQ = 0x5411
_FIONREAD = 0x541B


def asked(sock: socket.socket, request: int) -> int:
    answer: int = struct.unpack("i", fcntl.ioctl(sock, request, bytes(4)))[0]
    return answer


def inode(sock: socket.socket) -> int:
    return os.fstat(sock.fileno()).st_ino


def samples(host: Host, port: int = 0) -> list[SocketSample]:
    with contextlib.closing(host.socket_reader()) as reader:
        return reader.connections(port)


#: Fields that change only when something moves. The rest of tcp_info counts time.
STILL = ("bytes_acked", "notsent", "total_retrans", "unacked", "delivered", "snd_wnd", "rto")


def own_view(sock: socket.socket) -> tuple[int | None, ...]:
    info = tcp_info.parse(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, tcp_info.MAX_SIZE))
    return asked(sock, _SIOCOUTQ), asked(sock, _FIONREAD), info.state, *(getattr(info, field) for field in STILL)


def shown_of(sample: SocketSample) -> tuple[int | None, ...]:
    assert sample.info is not None
    return sample.outq, sample.rqueue, sample.info.state, *(getattr(sample.info, field) for field in STILL)


def settled(host: Host, sock: socket.socket) -> SocketSample:
    """Take a sample while nothing moves, equal to the socket's own answers before and after."""
    found: list[SocketSample] = []

    def still() -> bool:
        before = own_view(sock)
        found[:] = [sample_of(host, sock)]
        return before == own_view(sock) == shown_of(found[0])

    eventually(still, "a sample that agrees with what the socket itself says")
    return found[0]


@pytest.mark.parametrize(
    ("listen_at", "connect_to", "shown"),
    [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("::1", "::1", "::1"),
        ("::", "127.0.0.1", "127.0.0.1"),  # the server's end is IPv6, with mapped IPv4 addresses
    ],
)
@isolated
def test_a_sample_agrees_with_the_sockets_own_view(listen_at: str, connect_to: str, shown: str) -> None:
    with Lab() as lab:
        host = lab.host("host")
        with loopback(host, listen_at, connect_to) as (client, server):
            client.sendall(bytes(321))  # nobody reads these: the server's rqueue
            server.setblocking(False)
            stall(server)
            for sock, other in ((server, client), (client, server)):
                sample = settled(host, sock)
                assert sample.info is not None
                assert (sample.local, sample.remote) == (address_of(sock), address_of(other))
                assert sample.local.ip == shown
                assert sample.state == sample.info.state_name == "ESTABLISHED"
                assert sample.inode == inode(sock)
            assert settled(host, server).outq > 0
            assert settled(host, server).rqueue == 321


@isolated
def test_the_port_filters_by_the_local_end() -> None:
    with Lab() as lab:
        host = lab.host("host")
        with loopback(host) as (client, server), loopback(host, port=PORT + 1):
            assert len(samples(host)) == 4
            assert [sample.local for sample in samples(host, PORT)] == [address_of(server)]
            assert [sample.remote for sample in samples(host, PORT)] == [address_of(client)]
            assert samples(host, PORT + 2) == []


@isolated
def test_more_sockets_than_one_datagram_holds_are_all_read() -> None:
    with Lab() as lab, contextlib.ExitStack() as stack:
        host = lab.host("host")
        ends = [stack.enter_context(loopback(host)) for _ in range(200)]
        assert {sample.remote for sample in samples(host, PORT)} == {address_of(client) for client, _ in ends}


@isolated
def test_each_host_sees_only_its_own_end() -> None:
    with network() as net, connection(net) as (client, server):
        assert [sample.local for sample in samples(net.client)] == [address_of(client)]
        assert [sample.local for sample in samples(net.server)] == [address_of(server)]
        assert samples(net.router) == []


@isolated
def test_who_listens_is_no_connection_and_is_listed_by_itself() -> None:
    with Lab() as lab:
        host = lab.host("host")
        with listen(host), listen(host, "::1", PORT + 1), contextlib.closing(host.socket_reader()) as reader:
            assert reader.connections() == []
            assert {sample.local for sample in reader.listeners()} == {
                Address("0.0.0.0", PORT),
                Address("::1", PORT + 1),
            }
            assert [sample.local for sample in reader.listeners(PORT)] == [Address("0.0.0.0", PORT)]


@isolated
def test_what_only_waits_for_stray_packets_is_no_connection() -> None:
    with Lab() as lab:
        host = lab.host("host")
        with loopback(host) as (client, server):
            client.close()  # first, so that the TIME_WAIT is the client's
            assert receive_nothing(server)
        # The server's end goes only with the last acknowledgement, which is sent in TIME_WAIT.
        eventually(lambda: states(host) == [TIME_WAIT], "the client's end is in TIME_WAIT, and all that is left")
        assert samples(host) == []


def receive_nothing(sock: socket.socket) -> bool:
    return sock.recv(1) == b""


def states(host: Host) -> list[str]:
    with host.entered(), open("/proc/thread-self/net/tcp") as table:
        return [line.split()[3] for line in table][1:]


@isolated
def test_what_is_left_when_its_process_let_go_has_no_inode() -> None:
    with network() as net, connection(net) as (_, server):
        stall(server)
        where = address_of(server)
        server.close()
        [orphan] = samples(net.server)
        assert (orphan.local, orphan.state, orphan.inode) == (where, "FIN_WAIT1", 0)
        assert orphan.outq > 0


@isolated
def test_one_socket_can_be_read_again_until_it_is_no_more() -> None:
    with (
        network() as net,
        connection(net) as (client, server),
        contextlib.closing(net.server.socket_reader()) as reader,
    ):
        [sample] = reader.connections(PORT)
        unchanged = reader.again(sample)
        assert unchanged is not None
        assert unchanged.t > sample.t
        assert unchanged._replace(t=0.0, info=None) == sample._replace(t=0.0, info=None)
        assert unchanged.info is not None
        assert sample.info is not None
        assert unchanged.info.bytes_acked == sample.info.bytes_acked
        stall(server)
        full = settled(net.server, server)
        filled = reader.again(sample)
        assert filled is not None
        assert filled.outq == full.outq == asked(server, _SIOCOUTQ) > 0
        server.close()
        orphan = reader.again(sample)
        assert orphan is not None
        assert (orphan.state, orphan.inode) == ("FIN_WAIT1", 0)
        reader.destroy(orphan)
        assert reader.again(sample) is None
        client.close()


@isolated
def test_another_socket_of_the_same_addresses_is_not_the_one() -> None:
    with network() as net, connection(net), contextlib.closing(net.server.socket_reader()) as reader:
        [sample] = reader.connections(PORT)
        cookie = slice(44, 52)
        other = bytearray(sample.raw)
        other[cookie] = bytes(8)
        assert reader.again(sample._replace(raw=bytes(other))) is None
        assert reader.again(sample) is not None


@isolated
def test_destroy_aborts_the_application_resets_the_peer_and_works_once() -> None:
    with network() as net, connection(net) as (client, server):
        server.settimeout(20)
        client.settimeout(20)
        with contextlib.closing(net.server.socket_reader()) as reader:
            [sample] = reader.connections(PORT)
            assert reader.destroy(sample) is True
            with pytest.raises(ConnectionAbortedError):
                server.recv(1)
            with pytest.raises(ConnectionResetError):
                client.recv(1)
            assert reader.destroy(sample) is False
            assert reader.connections() == []


@isolated
def test_a_host_ends_where_the_kernel_aborts_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a kernel built without CONFIG_INET_DIAG_DESTROY."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported", "SOCK_DESTROY")

    with network() as net, connection(net) as (client, _):
        sample = sample_of(net.client, client)
        monkeypatch.setattr(netlink, "call", refuse)
        with (
            contextlib.closing(net.client.socket_reader()) as reader,
            pytest.raises(UnsupportedError, match="this kernel aborts no connections"),
        ):
            reader.destroy(sample)


@isolated
def test_destroy_ends_an_orphan_with_its_bytes() -> None:
    with network() as net, connection(net) as (_, server):
        stall(server)
        server.close()
        with contextlib.closing(net.server.socket_reader()) as reader:
            [orphan] = reader.connections()
            assert reader.destroy(orphan)
            assert reader.connections() == []


def heard(listener: EndListener, enough: Callable[[list[SocketSample]], bool]) -> list[SocketSample]:
    found: list[SocketSample] = []

    def listens() -> bool:
        select.select([listener], [], [], 0.1)
        found.extend(announced.sample for announced in listener.read() if announced.is_destroyed)
        return enough(found)

    eventually(listens, "the end was announced")
    return found


@pytest.mark.parametrize(("at", "to"), [("127.0.0.1", "127.0.0.1"), ("::1", "::1")])
@isolated
def test_the_end_of_every_socket_is_announced_with_its_last_sample(at: str, to: str) -> None:
    with Lab() as lab:
        host = lab.host("host")
        with contextlib.closing(host.end_listener()) as listener:
            with loopback(host, at, to) as (client, server):
                heard(listener, lambda found: [last.remote.port for last in found] == [0])  # the listener
                ends = {address_of(client), address_of(server)}
                client.sendall(bytes(100))
                receive(server, 100)
            found = heard(listener, lambda found: ends <= {last.local for last in found})
            [last] = [last for last in found if last.remote.port == PORT]
            assert last.info is not None
            assert last.info.bytes_acked in {101, 102}  # its SYN, 100 bytes and perhaps its FIN


@isolated
def test_an_orphan_is_announced_when_the_kernel_lets_go_of_it_not_when_its_process_does() -> None:
    with (
        network() as net,
        connection(net) as (_, server),
        contextlib.closing(net.server.end_listener()) as listener,
    ):
        stall(server)
        where = address_of(server)
        server.close()
        assert not any(announced.is_destroyed for announced in listener.read() if announced.sample.remote.port)
        with contextlib.closing(net.server.socket_reader()) as reader:
            [orphan] = reader.connections()
            reader.destroy(orphan)
        found = heard(listener, lambda found: any(last.remote.port for last in found))
        assert [last.local for last in found if last.remote.port] == [where]


class Ends(NamedTuple):
    """States announced for one end as either side ends a session, in order."""

    closed: list[str]
    reset: list[str]
    by_the_peer: list[str]


@in_guest
def announced_ends() -> Ends:
    def states_of(sock: socket.socket, end: Callable[[], object]) -> list[str]:
        where = identity(sample_of(net.server, sock))
        with contextlib.closing(net.server.end_listener()) as listener:
            end()
            return [a.sample.state for a in listener.read() if not a.is_destroyed and identity(a.sample) == where]

    def end_with_bytes_queued(server: socket.socket) -> None:
        stall(server)
        server.shutdown(socket.SHUT_RDWR)

    def reset(server: socket.socket) -> None:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        server.close()

    def half_close(client: socket.socket, server: socket.socket) -> None:
        client.shutdown(socket.SHUT_WR)
        eventually(lambda: sample_of(net.server, server).state == "CLOSE_WAIT", "the server has heard of it")

    with network() as net:
        with connection(net) as (_, server):
            closed = states_of(server, lambda: end_with_bytes_queued(server))
        with connection(net) as (_, server):
            was_reset = states_of(server, lambda: reset(server))
        with connection(net) as (client, server):
            by_the_peer = states_of(server, lambda: half_close(client, server))
    return Ends(closed, was_reset, by_the_peer)


@needs_guest
def test_a_guest_announces_when_a_socket_leaves_its_open_states() -> None:
    ends = announced_ends()
    assert ends.closed == ["FIN_WAIT1"]
    assert ends.reset == ["CLOSE"]
    assert ends.by_the_peer == []  # CLOSE_WAIT is still open


@isolated
def test_only_a_kernel_of_ours_announces_the_end_of_a_session() -> None:
    with Lab() as lab:
        assert not lab.host("host").announces_ends()


@needs_guest
def test_a_kernel_of_ours_is_found_to() -> None:
    assert announces()


@in_guest
def announces() -> bool:
    with Lab() as lab:
        return lab.host("host").announces_ends()


def test_addresses_are_written_as_people_write_them() -> None:
    assert str(Address("198.18.0.1", 80)) == "198.18.0.1:80"
    assert str(Address("::1", 80)) == "[::1]:80"


def test_the_limits_of_a_socket_are_those_that_were_set() -> None:
    with socket.socket() as sock:
        assert timeouts(sock) == Timeouts(None, None, None, None, None)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (
            (socket.TCP_KEEPIDLE, 30),
            (socket.TCP_KEEPINTVL, 5),
            (socket.TCP_KEEPCNT, 4),
            (socket.TCP_USER_TIMEOUT, 12_500),
        ):
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", 10, 0))
        assert timeouts(sock) == Timeouts(30.0, 5.0, 4, 12.5, 10.0)


@isolated
def test_the_permission_to_destroy_is_known_without_a_connection() -> None:
    with Lab() as lab, contextlib.closing(lab.host("host").socket_reader()) as reader:
        assert reader.refusal_to_destroy() == 0
        assert reader.listeners() == []


@needs_unshare
def test_an_ordinary_user_may_destroy_nothing() -> None:
    script = "from halfopen.netns.sockets import SocketReader; print(SocketReader().refusal_to_destroy())"
    asked = subprocess.run([*UNPRIVILEGED, sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(asked.stdout) == errno.EPERM
