"""Silent drops in a router: by nftables (nft(8)), or by routing rules (ip-rule(8)) if the kernel has no nftables."""

from __future__ import annotations

import contextlib
import errno
import itertools
from collections.abc import Sequence
from typing import Any

from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.nftables.expressions import ipv4addr, verdict
from pyroute2.nftables.main import NFTables

from halfopen.netns.host import Host

_NF_DROP = 0
_NF_ACCEPT = 1
#: Errors of a kernel whose nftables are missing or lack IPv4.
_NO_NFTABLES = {errno.EOPNOTSUPP, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT, errno.ENOENT}
#: Number of a cut and priority of its rules. Each is unique and lies between those of the local and the main table.
_numbers = itertools.count(1)


class Cut:
    """A drop of all packets to or from one address in a router, until :meth:`heal`."""

    means: str
    """Mechanism that drops the packets: ``"nftables"`` or ``"routing rules"``."""

    def __init__(self, router: Host, ip: str, ends: Sequence[str]) -> None:
        """Drop the packets that have ``ip`` at one of these ends: ``"dst"`` is to it, ``"src"`` from it."""
        number = next(_numbers)
        self._undo = contextlib.ExitStack()
        try:
            _by_nftables(self._undo, router, f"cut{number}", [ipv4addr(**{end: ip}) for end in ends])
            self.means = "nftables"
        except NetlinkError as error:
            if error.code not in _NO_NFTABLES:
                raise
            _by_rules(self._undo, router, number, [{end: ip, f"{end}_len": 32} for end in ends])
            self.means = "routing rules"

    def heal(self) -> None:
        """Forward the packets again."""
        self._undo.close()


def _by_nftables(undo: contextlib.ExitStack, router: Host, table: str, matches: list[Any]) -> None:
    def heal() -> None:
        with router.entered(), NFTables() as nft:
            nft.table("del", name=table)

    with contextlib.ExitStack() as half_done, router.entered(), NFTables() as nft:
        nft.table("add", name=table)
        half_done.callback(heal)
        nft.chain("add", table=table, name="drop", hook="forward", type="filter", policy=_NF_ACCEPT)
        for match in matches:
            nft.rule("add", table=table, chain="drop", expressions=(match, verdict(code=_NF_DROP)))
        undo.push(half_done.pop_all())


def _by_rules(undo: contextlib.ExitStack, router: Host, priority: int, selectors: list[dict[str, Any]]) -> None:
    """Drop by blackhole rules. They are silent, unlike an unreachable destination (ip_error in net/ipv4/route.c)."""

    def change(command: str, rule: dict[str, Any]) -> None:
        with router.rtnetlink() as routes:
            routes.rule(command, **rule)

    with contextlib.ExitStack() as half_done:
        for selector in selectors:
            rule = {"action": "FR_ACT_BLACKHOLE", "priority": priority, **selector}
            change("add", rule)
            half_done.callback(change, "del", rule)
        undo.push(half_done.pop_all())
