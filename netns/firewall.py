"""Silent drops in a router, by nftables (nft(8)) through pyroute2."""

from __future__ import annotations

import itertools
from typing import Any

from pyroute2.nftables.expressions import ipv4addr, verdict
from pyroute2.nftables.main import NFTables

from netns.host import Host

_NF_DROP = 0
_NF_ACCEPT = 1
_tables = itertools.count()


class Cut:
    """Packets to or from one address that a router no longer forwards, until :meth:`heal`."""

    def __init__(self, router: Host, ip: str, direction: str) -> None:
        assert direction in {"to", "from", "both"}, direction
        self._router = router
        self._table = f"cut{next(_tables)}"
        with router.entered(), NFTables() as nft:
            nft.table("add", name=self._table)
            try:
                self._drop(nft, _matches(ip, direction))
            except BaseException:
                nft.table("del", name=self._table)
                raise

    def _drop(self, nft: NFTables, matches: list[Any]) -> None:
        nft.chain("add", table=self._table, name="drop", hook="forward", type="filter", policy=_NF_ACCEPT)
        for match in matches:
            nft.rule("add", table=self._table, chain="drop", expressions=(match, verdict(code=_NF_DROP)))

    def heal(self) -> None:
        """Forward again."""
        with self._router.entered(), NFTables() as nft:
            nft.table("del", name=self._table)


def _matches(ip: str, direction: str) -> list[Any]:
    matches = {"to": [ipv4addr(dst=ip)], "from": [ipv4addr(src=ip)]}
    return matches.get(direction) or matches["to"] + matches["from"]
