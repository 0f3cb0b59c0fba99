"""Links: impairments and cuts. No end's own TCP is notified of a cut."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import pytest

from halfopen.netns import tcp_info, units
from halfopen.netns.host import Host
from halfopen.netns.impairment import NONE, Impairment
from halfopen.netns.lab import Lab, kernel_has_discipline
from halfopen.netns.lab_errors import LabError, UnsupportedError
from halfopen.netns.shaping import QdiscReport
from halfopen.netns.units import BitRate, Duration
from tests.isolated import isolated
from tests.machine import needs_labs
from tests.netns.network import PORT, Network, ask, connection, eventually, fill, network, receive, sample_of

pytestmark = needs_labs


def info(host: Host, sock: socket.socket) -> tcp_info.TcpInfo:
    found = sample_of(host, sock).info
    assert found is not None
    return found


def acked(host: Host, sock: socket.socket) -> int:
    return info(host, sock).bytes_acked or 0


def in_the_dark(host: Host, sock: socket.socket) -> None:
    """Wait until the kernel has retransmitted three times (counted, not timed), and check that no error reached it."""
    before = acked(host, sock)
    sock.send(b"into the dark")
    eventually(lambda: info(host, sock).backoff >= 3, "the retransmission timer backed off three times")
    seen = info(host, sock)
    assert seen.state_name == "ESTABLISHED"
    assert seen.retransmits >= 3
    assert seen.total_retrans >= 3
    assert seen.unacked >= 1
    assert seen.bytes_acked == before
    # No EHOSTUNREACH, no ENETUNREACH, no ENOBUFS: the silence of a real network.
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


@isolated
def test_a_cut_is_silent_at_both_ends() -> None:
    with network() as net, connection(net) as (client, server):
        with net.near.cut():
            in_the_dark(net.client, client)
            in_the_dark(net.server, server)
        assert receive(server, 13) == receive(client, 13) == b"into the dark"


@isolated
def test_a_cut_towards_the_client_leaves_the_way_to_the_server_open() -> None:
    with network() as net, connection(net) as (client, server):
        with net.near.cut(net.client):
            before = acked(net.client, client)
            client.send(b"heard")
            assert receive(server, 5) == b"heard"
            in_the_dark(net.server, server)
            # The client's data has arrived, but no acknowledgement of it comes back.
            assert acked(net.client, client) == before
        assert receive(client, 13) == b"into the dark"
        eventually(lambda: acked(net.client, client) == before + 5, "the client's bytes are acknowledged")


@isolated
def test_a_cut_towards_the_router_leaves_the_way_to_the_client_open() -> None:
    with network() as net, connection(net) as (client, server):
        with net.near.cut(net.router):
            before = acked(net.server, server)
            server.send(b"heard")
            assert receive(client, 5) == b"heard"
            in_the_dark(net.client, client)
            assert acked(net.server, server) == before
        assert receive(server, 13) == b"into the dark"
        eventually(lambda: acked(net.server, server) == before + 5, "the server's bytes are acknowledged")


@isolated
def test_without_a_cut_everything_is_acknowledged() -> None:
    """The result that the tests above would see if a cut did nothing."""
    with network() as net, connection(net) as (client, _):
        client.send(b"not in the dark")
        eventually(lambda: acked(net.client, client) == 16, "it is acknowledged")
        assert info(net.client, client).total_retrans == 0


@isolated
def test_a_cut_is_healed_on_errors_too() -> None:
    with network() as net, connection(net) as (client, server):
        with pytest.raises(KeyError), net.near.cut():
            raise KeyError
        client.send(b"healed")
        assert receive(server, 6) == b"healed"


@isolated
def test_cuts_overlap_and_the_last_to_heal_heals() -> None:
    with network() as net, connection(net) as (client, server):
        with net.near.cut():
            with net.far.cut():
                pass
            in_the_dark(net.server, server)
        assert receive(client, 13) == b"into the dark"


@isolated
def test_a_cut_is_of_one_link_and_not_of_its_neighbours() -> None:
    with network() as net, connection(net) as (client, server):
        other = net.lab.link(net.lab.host("other"), net.router)
        with other.cut():
            client.send(b"unharmed")
            assert receive(server, 8) == b"unharmed"


@isolated
def test_a_cut_needs_a_router_and_a_host_of_the_link() -> None:
    with network() as net:
        direct = net.lab.link(net.lab.host("a"), net.lab.host("b"))
        with pytest.raises(LabError, match=r"Link\('a', 'b'\): a cut needs a router at one end"):
            cut(net, direct)
        with pytest.raises(LabError, match=r"Link\('client', 'router'\): host 'server' is not on this link"):
            cut(net, net.near, net.server)


def cut(_: Network, link: object, toward: Host | None = None) -> None:
    with link.cut(toward):  # type: ignore[attr-defined]
        pass


@isolated
def test_a_rate_limit_holds_back_the_direction_it_was_asked_for() -> None:
    rate = units.bit_rate("1Mbit")
    with network() as net, connection(net) as (client, server):
        net.near.impair(net.client, Impairment(rate=rate))
        size = 100_000
        began = time.monotonic()
        server.setblocking(True)
        server.sendall(bytes(size))
        receive(client, size)
        # At full speed this takes a millisecond. The bucket lets the first tenth of a burst through at once.
        assert time.monotonic() - began >= 0.9 * (size - 2 * 1514) * 8 / rate
        assert held_back(net.router, net.near.end(net.router).index) > 0
        assert [qdisc.get("kind") for qdisc in ask(net.client, "get_qdiscs", net.near.end(net.client).index)] == [
            "noqueue"
        ]


@isolated
def test_a_full_frame_passes_at_every_rate() -> None:
    """A bucket that holds less than a frame drops it forever, and at 64 kbit/s a byte is less than a tick."""
    with network() as net:
        with net.client.entered():
            receiver = socket.socket(type=socket.SOCK_DGRAM)
        with net.server.entered():
            sender = socket.socket(type=socket.SOCK_DGRAM)
        with receiver, sender:
            receiver.bind(("", PORT))
            receiver.settimeout(10)
            sender.connect((net.near.end(net.client).ip, PORT))
            for kilobits in (32, 64, 128, 256, 1000):
                net.near.impair(net.client, Impairment(rate=units.bit_rate(f"{kilobits}kbit")))
                sender.send(bytes(1472))  # 1514 with its headers
                assert len(receiver.recv(1500)) == 1472


def held_back(host: Host, index: int) -> int:
    """Return how often the token bucket delayed a packet (its "overlimits")."""
    [qdisc] = [qdisc for qdisc in ask(host, "get_qdiscs", index) if qdisc.get("kind") == "tbf"]
    return int(qdisc.get("stats")["overlimits"])


@isolated
def test_an_impairment_is_replaced_and_lifted() -> None:
    with network() as net:
        slow, slower = (Impairment(rate=units.bit_rate(text)) for text in ("1Mbit", "64kbit"))
        for impairment in (slow, slower, NONE, slow):
            net.near.impair(net.client, impairment)
            assert net.near.asked(net.client) == impairment
            assert net.near.does(net.client).impairment.rate == impairment.rate
            assert net.near.asked(net.router) == NONE
            assert net.near.does(net.router) == QdiscReport()


@isolated
def test_what_waits_for_a_rate_is_not_lost_when_it_is_lifted() -> None:
    with network() as net, connection(net) as (client, server):
        # Slow enough to wait until they are seen, with room for TCP's repetitions meanwhile.
        net.near.impair(net.client, Impairment(rate=units.bit_rate("100bit"), queue=Duration(3600)))
        server.send(bytes(3000))
        eventually(lambda: net.near.does(net.client).queued > 0, "packets wait for the rate")
        net.near.impair(net.client, NONE)
        assert len(receive(client, 3000)) == 3000
        assert net.near.does(net.client).dropped == 0


@isolated
def test_what_the_kernel_rounds_is_told() -> None:
    with network() as net:
        net.near.impair(net.client, Impairment(rate=units.bit_rate("100bit")))
        assert net.near.asked(net.client).rate == BitRate(100)
        assert net.near.does(net.client).impairment.rate == BitRate(96)  # whole bytes a second
        assert net.near.differences(net.client) == ["rate: asked 100bit, in force 96bit"]
        net.near.impair(net.client, Impairment(rate=units.bit_rate("96bit")))
        assert net.near.differences(net.client) == []


@isolated
def test_packets_are_as_big_as_on_a_wire() -> None:
    """The kernel would otherwise send a stream in pieces of up to 64 kB, each lost or delayed as one."""
    with network() as net, connection(net) as (client, server):
        with net.client.entered():
            tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))  # ETH_P_ALL
        with tap:
            tap.setblocking(False)
            server.setblocking(True)
            server.sendall(bytes(100_000))
            receive(client, 100_000)
            assert max(frame_sizes(tap)) == 1514


def frame_sizes(tap: socket.socket) -> Iterator[int]:
    with contextlib.suppress(BlockingIOError):
        while True:
            yield len(tap.recv(1 << 17))


@isolated
def test_an_impairment_is_carried_out_or_refused_and_never_half_done() -> None:
    """With netem or without: either the request is in force, or nothing is and the records say so."""
    late = Impairment(delay=Duration(0.05), rate=units.bit_rate("1Mbit"))
    with network() as net, connection(net) as (client, server):
        near = net.near
        near.impair(net.client, Impairment(rate=units.bit_rate("64kbit")))
        index = near.end(net.router).index
        if kernel_has_discipline("netem"):
            near.impair(net.client, late)
            assert near.asked(net.client) == late
            began = time.monotonic()
            server.send(b"late")
            assert receive(client, 4) == b"late"
            assert time.monotonic() - began >= 0.05
        else:
            with pytest.raises(UnsupportedError, match="this kernel has no sch_netem"):
                near.impair(net.client, late)
            assert near.asked(net.client) == NONE
            assert [qdisc.get("kind") for qdisc in ask(net.router, "get_qdiscs", index)] == ["noqueue"]
            assert near.does(net.client) == QdiscReport()
        near.impair(net.client, Impairment(rate=units.bit_rate("1Mbit")))
        near.impair(net.client, NONE)


@isolated
def test_impairing_towards_a_stranger_is_refused() -> None:
    with network() as net, pytest.raises(LabError, match="host 'server' is not on this link"):
        net.near.impair(net.server, NONE)


@isolated
def test_a_full_socket_through_a_cut_link_keeps_all_its_bytes() -> None:
    with network() as net, connection(net) as (client, server):
        with net.near.cut():
            sent = fill(server)
            eventually(lambda: info(net.server, server).backoff >= 2, "the server retransmits into the dark")
        assert len(receive(client, sent)) == sent


@isolated
def test_a_link_is_shown_by_the_hosts_it_joins() -> None:
    with Lab() as lab:
        assert repr(lab.link(lab.host("a"), lab.router("b"))) == "Link('a', 'b')"
