"""Qdiscs: the requests to the kernel, in order. A refusal takes back earlier ones."""

from __future__ import annotations

import errno
import os
import struct
from typing import cast

import pytest

from halfopen.netns import shaping, units
from halfopen.netns.host import LOOPBACK, Host
from halfopen.netns.impairment import NONE, Impairment
from halfopen.netns.lab import Lab, kernel_has_discipline
from halfopen.netns.lab_errors import UnsupportedError
from halfopen.netns.netlink import NetlinkRequest, attributes
from halfopen.netns.shaping import QdiscReport, Shaper
from halfopen.netns.units import Duration
from tests.isolated import isolated
from tests.machine import needs_labs
from tests.netns.network import ask

DELAYED = Impairment(delay=Duration(0.02))
SLOW = Impairment(rate=units.bit_rate("64kbit"))
BOTH = Impairment(delay=Duration(0.02), rate=units.bit_rate("64kbit"))
ROOT = 0xFFFFFFFF
BEHIND = 0x10001


class Kernel:
    """Stands in for a host with netem: keeps the requests, and lacks the named features."""

    def __init__(self, lacks: str = "", number: int = errno.ENOENT) -> None:
        self.calls: list[tuple[str, int]] = []
        self._lacks, self._number = lacks, number

    def configure(self, request: NetlinkRequest) -> None:
        *_, parent, _ = struct.unpack_from("=B3xiIII", request.body)
        told = attributes(memoryview(request.body), 20)
        kind = bytes(told[1]).rstrip(b"\0").decode() if told else "delete"
        if kind == self._lacks:
            raise OSError(self._number, os.strerror(self._number))
        self.calls.append((kind, parent))

    def shaper(self) -> Shaper:
        return Shaper(cast(Host, self), 5)


def calls(*impairments: Impairment, lacks: str = "") -> list[tuple[str, int]]:
    """Return the requests for these impairments in turn, or at least for the last."""
    kernel = Kernel(lacks)
    shaper = kernel.shaper()
    for impairment in impairments:
        kernel.calls.clear()
        shaper.shape(impairment)
        assert shaper.asked == impairment
    return kernel.calls


def test_nothing_asked_for_touches_nothing() -> None:
    assert calls(NONE) == []


def test_a_delay_is_netem_at_the_root() -> None:
    assert calls(DELAYED) == [("netem", ROOT)]


@pytest.mark.parametrize("impairment", [SLOW, BOTH], ids=["rate", "both"])
def test_a_bucket_stands_behind_netem(impairment: Impairment) -> None:
    """Also for a rate alone, so that a delay can be added later without removing the bucket."""
    assert calls(impairment) == [("netem", ROOT), ("tbf", BEHIND)]


def test_without_netem_a_rate_is_a_bucket_at_the_root() -> None:
    assert calls(SLOW, lacks="netem") == [("tbf", ROOT)]
    assert calls(SLOW, NONE, lacks="netem") == [("tbf", ROOT)]


@pytest.mark.parametrize("after", [NONE, DELAYED, SLOW, BOTH], ids=["nothing", "delay", "rate", "both"])
def test_what_stands_is_changed_and_never_taken_away(after: Impairment) -> None:
    assert calls(BOTH, after) == [("netem", ROOT), ("tbf", BEHIND)]


def test_a_discipline_that_is_missing_is_named() -> None:
    with pytest.raises(UnsupportedError, match="this kernel has no sch_netem"):
        Kernel(lacks="netem").shaper().shape(BOTH)


def test_a_refusal_half_way_takes_back_the_first_half() -> None:
    kernel = Kernel(lacks="tbf")
    shaper = kernel.shaper()
    with pytest.raises(UnsupportedError, match="this kernel has no sch_tbf"):
        shaper.shape(BOTH)
    assert kernel.calls == [("netem", ROOT), ("delete", ROOT)]
    assert shaper.asked == NONE


def test_any_other_refusal_stays_what_it_is() -> None:
    with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
        Kernel(lacks="tbf", number=errno.EINVAL).shaper().shape(SLOW)


@needs_labs
@isolated
def test_asking_for_a_discipline_leaves_nothing_and_can_be_repeated() -> None:
    with Lab() as lab:
        host = lab.host("host")
        for kind in ("tbf", "netem", "tbf", "netem"):
            shaping.has_discipline(host, LOOPBACK, kind)
            assert [qdisc.get("kind") for qdisc in ask(host, "get_qdiscs", LOOPBACK)] == ["noqueue"]


@needs_labs
@isolated
def test_this_kernel_has_token_buckets() -> None:
    assert kernel_has_discipline("tbf")


@needs_labs
@isolated
def test_an_interface_that_was_never_impaired_does_nothing() -> None:
    with Lab() as lab:
        assert Shaper(lab.host("host"), LOOPBACK).report() == QdiscReport()
