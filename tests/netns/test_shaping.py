"""Qdiscs: what is asked of the kernel, in order, and that a refusal takes back what came before it."""

from __future__ import annotations

import errno
from typing import Any

import pytest
from pyroute2.netlink.exceptions import NetlinkError

from netns import shaping, units
from netns.errors import UnsupportedError
from netns.host import LOOPBACK
from netns.impairment import NONE, Impairment
from netns.lab import Lab, kernel_has_discipline
from netns.units import Duration
from tests.isolated import isolated
from tests.machine import needs_labs
from tests.netns.network import ask

DELAYED = Impairment(delay=Duration(0.02))
SLOW = Impairment(rate=units.bit_rate("64kbit"))
BOTH = Impairment(delay=Duration(0.02), rate=units.bit_rate("64kbit"))
ROOT = 0xFFFFFFFF


class Kernel:
    """Stands in for IPRoute where netem is wanted: keeps the calls, lacks what it is told to lack."""

    def __init__(self, lacks: str = "", number: int = errno.ENOENT) -> None:
        self.calls: list[tuple[str, str, int]] = []
        self._lacks, self._number = lacks, number

    def tc(self, command: str, kind: str = "", *_: int, parent: int, **__: Any) -> None:
        if kind and kind == self._lacks:
            raise NetlinkError(self._number)
        self.calls.append((command, kind, parent))


def calls(impairment: Impairment, before: Impairment = NONE) -> list[tuple[str, str, int]]:
    kernel = Kernel()
    shaping.shape(kernel, 5, impairment, before)
    return kernel.calls


def test_nothing_asked_for_touches_nothing() -> None:
    assert calls(NONE) == []


def test_a_rate_is_a_token_bucket_at_the_root() -> None:
    assert calls(SLOW) == [("add", "tbf", ROOT)]


def test_a_delay_is_netem_at_the_root() -> None:
    assert calls(DELAYED) == [("add", "netem", ROOT)]


def test_with_both_the_bucket_stands_behind_netem() -> None:
    assert calls(BOTH) == [("add", "netem", ROOT), ("add", "tbf", 0x10001)]


def test_what_was_there_before_goes_first() -> None:
    assert calls(SLOW, before=BOTH) == [("del", "", ROOT), ("add", "tbf", ROOT)]
    assert calls(NONE, before=SLOW) == [("del", "", ROOT)]


def test_a_discipline_that_is_missing_is_named() -> None:
    with pytest.raises(UnsupportedError, match="this kernel has no sch_netem"):
        shaping.shape(Kernel(lacks="netem"), 5, BOTH)


def test_a_refusal_half_way_takes_back_the_first_half() -> None:
    kernel = Kernel(lacks="tbf")
    with pytest.raises(UnsupportedError, match="this kernel has no sch_tbf"):
        shaping.shape(kernel, 5, BOTH)
    assert kernel.calls == [("add", "netem", ROOT), ("del", "", ROOT)]


def test_any_other_refusal_stays_what_it_is() -> None:
    with pytest.raises(NetlinkError) as refused:
        shaping.shape(Kernel(lacks="tbf", number=errno.EINVAL), 5, SLOW)
    assert refused.value.code == errno.EINVAL


@needs_labs
@isolated
def test_asking_for_a_discipline_leaves_nothing_and_can_be_repeated() -> None:
    with Lab() as lab:
        host = lab.host("host")
        for kind in ("tbf", "netem", "tbf", "netem"):
            with host.rtnetlink() as routes:
                shaping.has_discipline(routes, LOOPBACK, kind)
            assert [qdisc.get("kind") for qdisc in ask(host, "get_qdiscs", LOOPBACK)] == ["noqueue"]


@needs_labs
@isolated
def test_this_kernel_has_token_buckets() -> None:
    assert kernel_has_discipline("tbf")
