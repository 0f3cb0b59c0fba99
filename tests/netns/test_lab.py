"""Labs: hosts reach each other, the machine sees nothing of them, and they are gone when they end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from halfopen.netns import rtnetlink
from halfopen.netns.lab import Lab
from halfopen.netns.lab_errors import LabError
from halfopen.netns.link import Link
from tests import leftovers
from tests.isolated import isolated
from tests.machine import needs_labs
from tests.netns.network import ask, connection, eventually, fill, ip_counter, network, receive

pytestmark = needs_labs


@isolated
def test_hosts_reach_each_other_through_the_router() -> None:
    with network() as net, connection(net) as (client, server):
        client.send(b"there")
        assert receive(server, 5) == b"there"
        server.send(b"and back")
        assert receive(client, 8) == b"and back"
        assert client.getsockname()[0] == net.near.end(net.client).ip
        assert server.getpeername()[0] == net.near.end(net.client).ip  # routed, not translated


@isolated
def test_hosts_that_no_link_joins_do_not_reach_each_other() -> None:
    with Lab() as lab:
        a, b = lab.host("a"), lab.host("b")
        with pytest.raises(OSError, match="unreachable"):
            a.connect((lab.link(b, lab.host("c")).a.ip, 5090), timeout=20)


@isolated
def test_a_host_that_is_no_router_forwards_nothing() -> None:
    with Lab() as lab:
        client, middle, server = lab.host("client"), lab.host("middle"), lab.host("server")
        near, far = lab.link(client, middle), lab.link(middle, server)
        client.configure(rtnetlink.default_route(near.end(middle).ip))
        server.configure(rtnetlink.default_route(far.end(middle).ip))
        # A host silently drops packets for other hosts: the connection is neither made nor refused.
        with pytest.raises(TimeoutError):
            client.connect((far.end(server).ip, 5090), timeout=0.3)
        assert ip_counter(middle, "ForwDatagrams") == 0
        assert ip_counter(middle, "InReceives") > 0


@isolated
def test_nothing_of_a_lab_is_seen_from_outside_it() -> None:
    def seen() -> tuple[list[str], str, str]:
        return (
            sorted(os.listdir("/sys/class/net")),
            Path("/proc/thread-self/net/dev").read_text(),
            Path("/proc/self/mounts").read_text(),
        )

    before = seen()
    with network() as net, connection(net):
        assert seen() == before


@isolated
def test_every_host_has_a_name_of_its_own() -> None:
    with Lab() as lab:
        lab.host("server")
        for again in (lab.host, lab.router):
            with pytest.raises(LabError, match="the lab already has a host 'server'; give every host a name"):
                again("server")


@isolated
def test_every_link_has_a_network_interfaces_and_macs_of_its_own() -> None:
    with Lab() as lab:
        router = lab.router("router")
        links = [lab.link(lab.host(f"host{n}"), router) for n in range(20)]
        ends = [end for link in links for end in (link.a, link.b)]
        for of in ("ip", "mac", "interface", "index"):
            assert len({getattr(end, of) for end in ends}) == len(ends), of
        assert len({end.ip.rpartition(".")[0] for end in ends}) == len(links)


@isolated
def test_a_host_sends_by_default_over_its_first_link_to_a_router() -> None:
    with Lab() as lab:
        host, peer = lab.host("host"), lab.host("peer")
        first, second = lab.router("first"), lab.router("second")
        lab.link(host, peer)
        link = lab.link(host, first)
        lab.link(host, second)
        [route] = ask(host, "get_default_routes", family=2)
        assert route.get("gateway") == link.end(first).ip
        assert [len(list(ask(router, "get_default_routes", family=2))) for router in (first, second, peer)] == [0, 0, 0]


@isolated
def test_more_links_than_the_network_has_room_for_are_refused() -> None:
    with Lab() as lab:
        a, b = lab.host("a"), lab.host("b")
        for _ in range(512):
            lab.link(a, b)
        with pytest.raises(LabError, match="a lab has at most 512 links"):
            lab.link(a, b)


@isolated
def test_a_link_that_fails_half_way_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    with Lab() as lab:
        a, b = lab.host("a"), lab.router("b")
        forwarding = rtnetlink.forwarding
        monkeypatch.setattr(rtnetlink, "forwarding", lambda _, on: forwarding(99_999, on))
        with pytest.raises(OSError, match="forwarding on interface 99999"):
            lab.link(a, b)
        monkeypatch.undo()
        for host in (a, b):
            assert [link.get("ifname") for link in ask(host, "get_links")] == ["lo"]
        assert isinstance(lab.link(a, b), Link)
        assert list(ask(a, "get_default_routes", family=2))


@pytest.mark.alone
@isolated
def test_a_lab_that_fails_half_way_is_taken_back() -> None:
    before, descriptors = leftovers.network_namespaces(), sorted(os.listdir("/proc/self/fd"))

    def fail() -> None:
        with network() as net:
            net.lab.host("client")

    with pytest.raises(LabError):
        fail()
    assert sorted(os.listdir("/proc/self/fd")) == descriptors
    if before is not None:
        eventually(lambda: (leftovers.network_namespaces() or 0) <= before, "the namespaces are gone")


@pytest.mark.alone
@isolated
def test_a_lab_leaves_no_descriptor_and_no_namespace_even_with_bytes_stuck() -> None:
    def live() -> None:
        with network() as net, connection(net) as (_, server):
            fill(server)
            server.close()
            with net.near.cut():
                pass

    live()  # opens files once that are kept and belong to no lab
    before, descriptors = leftovers.network_namespaces(), sorted(os.listdir("/proc/self/fd"))
    for _ in range(5):
        live()
    assert sorted(os.listdir("/proc/self/fd")) == descriptors
    if before is not None:
        eventually(lambda: (leftovers.network_namespaces() or 0) <= before, "the namespaces are gone")
