"""Cuts: the router counts and drops, forwards again when healed, and keeps no rule of a cut that failed."""

from __future__ import annotations

import contextlib
import errno
import socket
from typing import Any

import pytest
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.nftables.main import NFTables

from halfopen.netns import firewall
from halfopen.netns.firewall import Cut
from halfopen.netns.host import Host
from tests.isolated import isolated
from tests.machine import needs_labs
from tests.netns.network import ask, connection, eventually, ip_counter, network, receive

pytestmark = needs_labs

# FR_ACT_BLACKHOLE (include/uapi/linux/fib_rules.h)
_BLACKHOLE = 6


def tables(host: Host) -> list[str]:
    with host.entered(), NFTables() as nft:
        return [table.get_attr("NFTA_TABLE_NAME") for table in nft.get_tables()]


def blackholes(host: Host) -> list[int]:
    """Return the priorities of the rules that drop."""
    rules = ask(host, "get_rules", family=socket.AF_INET)
    return [rule.get_attr("FRA_PRIORITY") for rule in rules if rule["action"] == _BLACKHOLE]


@pytest.fixture
def without_nftables(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a kernel whose nftables supports only bridges."""

    class OnlyBridges(contextlib.nullcontext[Any]):
        def __enter__(self) -> Any:
            return self

        def table(self, *_: Any, **__: Any) -> None:
            raise NetlinkError(errno.EOPNOTSUPP)

    monkeypatch.setattr(firewall, "NFTables", OnlyBridges)


@pytest.mark.usefixtures("without_nftables")
@pytest.mark.parametrize("ends", ["dst", "src", "dst src"])
@isolated
def test_without_nftables_rules_drop_and_are_taken_away(ends: str) -> None:
    with network() as net, connection(net) as (client, server):
        cut = Cut(net.router, net.near.end(net.client).ip, ends.split())
        assert cut.means == "routing rules"
        assert len(blackholes(net.router)) == len(ends.split())
        forwarded = ip_counter(net.router, "ForwDatagrams")
        sender, receiver = (net.server, client) if ends == "dst" else (net.client, server)
        (server if ends == "dst" else client).send(b"dropped")
        sent = ip_counter(sender, "OutRequests")
        eventually(lambda: ip_counter(sender, "OutRequests") >= sent + 2, "it was repeated twice")
        assert ip_counter(net.router, "ForwDatagrams") == forwarded
        # Silently: no ICMP error has reached the sender's TCP.
        assert ip_counter(net.router, "OutRequests") == 0
        cut.heal()
        assert blackholes(net.router) == []
        assert receive(receiver, 7) == b"dropped"


@pytest.mark.usefixtures("without_nftables")
@isolated
def test_without_nftables_the_way_that_is_not_cut_stays_open() -> None:
    with network() as net, connection(net) as (client, server):
        with net.near.cut(net.client):
            client.send(b"heard")
            assert receive(server, 5) == b"heard"
        with net.near.cut(net.router):
            server.send(b"heard")
            assert receive(client, 5) == b"heard"


@pytest.mark.usefixtures("without_nftables")
@isolated
def test_without_nftables_cuts_overlap_and_the_last_to_heal_heals() -> None:
    with network() as net, connection(net) as (client, server):
        with net.near.cut():
            with net.near.cut(), net.far.cut():
                pass
            assert len(blackholes(net.router)) == 2
        client.send(b"healed")
        assert receive(server, 6) == b"healed"


@pytest.mark.parametrize("ends", ["dst", "src", "dst src"])
@isolated
def test_healing_takes_the_rules_away(ends: str) -> None:
    with network() as net, connection(net) as (client, server):
        cut = Cut(net.router, net.near.end(net.client).ip, ends.split())
        assert cut.means == "nftables"
        assert len(tables(net.router)) == 1
        cut.heal()
        assert tables(net.router) == []
        client.send(b"healed")
        assert receive(server, 6) == b"healed"


@isolated
def test_rules_are_the_routers_alone() -> None:
    with network() as net, net.near.cut():
        assert tables(net.client) == tables(net.server) == []


@isolated
def test_a_cut_drops_before_anything_leaves_the_router() -> None:
    with network() as net, connection(net) as (client, _):
        with net.near.cut():
            arrived, delivered = (ip_counter(host, "InReceives") for host in (net.router, net.server))
            client.send(b"dropped")
            eventually(
                lambda: ip_counter(net.router, "InReceives") >= arrived + 2, "the packet and its repetition arrived"
            )
            assert ip_counter(net.server, "InReceives") == delivered
        eventually(lambda: ip_counter(net.server, "InReceives") > delivered, "a later repetition is forwarded")


@isolated
def test_a_cut_that_fails_half_way_leaves_no_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(12, "Cannot allocate memory")

    with network() as net:
        monkeypatch.setattr(firewall, "verdict", refuse)
        with pytest.raises(OSError, match="Cannot allocate memory"):
            Cut(net.router, "198.18.0.1", ["dst", "src"])
        assert tables(net.router) == []
