"""The requests that make a link, verified with pyroute2: the kernel then has what they ask for."""

from __future__ import annotations

import errno
import re
from pathlib import Path
from typing import Any

import pytest

from halfopen.netns import rtnetlink
from halfopen.netns.host import LOOPBACK, Host
from halfopen.netns.lab import Lab
from halfopen.netns.netlink import NetlinkRequest
from tests.isolated import isolated
from tests.machine import needs_labs
from tests.netns.network import ask

pytestmark = needs_labs

HERE = ("left", 7, "02:00:00:00:00:07")
THERE = ("right", 8, "02:00:00:00:00:08")


def wired(lab: Lab) -> tuple[Host, Host]:
    """Make left ──▶ right, with names, numbers and MACs but no addresses."""
    left, right = lab.host("left"), lab.host("right")
    left.configure(rtnetlink.veth(HERE, THERE, right.fileno()))
    return left, right


def only(found: Any) -> Any:
    [one] = found
    return one


@isolated
def test_a_veth_pair_has_the_names_numbers_and_macs_asked_for() -> None:
    with Lab() as lab:
        for host, (name, index, mac) in zip(wired(lab), (HERE, THERE), strict=True):
            link = only(ask(host, "get_links", index))
            assert (link.get("ifname"), link.get("address"), link["state"]) == (name, mac, "down")


@isolated
def test_an_interface_is_set_up_and_deleted() -> None:
    with Lab() as lab:
        left, right = wired(lab)
        left.configure(rtnetlink.up(7))
        assert only(ask(left, "get_links", 7))["state"] == "up"
        left.configure(rtnetlink.delete(7))
        assert [link.get("ifname") for link in ask(right, "get_links")] == ["lo"]


@isolated
def test_addresses_neighbours_and_routes_are_as_asked_for() -> None:
    with Lab() as lab:
        left, _ = wired(lab)
        left.configure(
            rtnetlink.address(7, "198.18.0.1", 24),
            rtnetlink.up(7),
            rtnetlink.neighbour(7, "198.18.0.2", THERE[2]),
            rtnetlink.default_route("198.18.0.2"),
        )
        address = only(ask(left, "get_addr", index=7, family=2))
        assert (address.get("address"), address["prefixlen"]) == ("198.18.0.1", 24)
        neighbour = only(ask(left, "get_neighbours", 2, dst="198.18.0.2"))
        assert (neighbour.get("lladdr"), neighbour["state"]) == (THERE[2], 0x80)  # NUD_PERMANENT
        route = only(ask(left, "get_default_routes", family=2))
        assert (route.get("gateway"), route.get("oif")) == ("198.18.0.2", 7)


def forwards(host: Host, name: str) -> bool:
    with host.entered():
        return Path(f"/proc/sys/net/ipv4/conf/{name}/forwarding").read_text().strip() == "1"


@isolated
def test_forwarding_is_set_for_one_interface() -> None:
    with Lab() as lab:
        left, right = wired(lab)
        # A new namespace inherits the machine's setting.
        others = forwards(left, "lo"), forwards(right, "right")
        for on in (True, False):
            left.configure(rtnetlink.forwarding(7, on))
            assert forwards(left, "left") is on
            assert (forwards(left, "lo"), forwards(right, "right")) == others


@pytest.mark.parametrize(
    ("request_", "named", "number"),
    [
        (rtnetlink.up(99), "setting interface 99 up", errno.ENODEV),
        (rtnetlink.delete(99), "deleting interface 99", errno.ENODEV),
        (rtnetlink.delete(LOOPBACK), "deleting interface 1", errno.EOPNOTSUPP),
        (rtnetlink.address(99, "198.18.0.1", 24), "address 198.18.0.1/24 on interface 99", errno.ENODEV),
        (rtnetlink.neighbour(99, "198.18.0.2", HERE[2]), "neighbour 198.18.0.2 of interface 99", errno.ENODEV),
        (rtnetlink.default_route("198.18.0.2"), "a default route by 198.18.0.2", errno.ENETUNREACH),
        (rtnetlink.forwarding(99, True), "forwarding on interface 99", errno.ENODEV),
        (rtnetlink.veth(HERE, THERE, 9999), "a veth pair left, right", errno.EBADF),
    ],
)
@isolated
def test_every_refusal_names_what_was_asked_for(request_: NetlinkRequest, named: str, number: int) -> None:
    with Lab() as lab, pytest.raises(OSError, match=re.escape(named)) as refused:
        lab.host("only").configure(request_)
    assert refused.value.errno == number


@isolated
def test_a_name_that_is_taken_is_refused() -> None:
    with Lab() as lab:
        left, right = wired(lab)
        with pytest.raises(FileExistsError):
            left.configure(rtnetlink.veth(("left", 17, HERE[2]), ("other", 18, THERE[2]), right.fileno()))
