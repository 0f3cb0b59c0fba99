"""Cuts: the router counts and drops, forwards again when healed, and keeps no rule of a cut that failed."""

from __future__ import annotations

from typing import Any

import pytest
from pyroute2.nftables.main import NFTables

from netns import firewall
from netns.firewall import Cut
from netns.host import Host
from tests.isolated import isolated
from tests.machine import needs_labs
from tests.netns.network import connection, eventually, ip_counter, network, receive

pytestmark = needs_labs


def tables(host: Host) -> list[str]:
    with host.entered(), NFTables() as nft:
        return [table.get_attr("NFTA_TABLE_NAME") for table in nft.get_tables()]


@pytest.mark.parametrize("direction", ["to", "from", "both"])
@isolated
def test_healing_takes_the_rules_away(direction: str) -> None:
    with network() as net, connection(net) as (client, server):
        cut = Cut(net.router, net.near.end(net.client).ip, direction)
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
            Cut(net.router, "198.18.0.1", "both")
        assert tables(net.router) == []
