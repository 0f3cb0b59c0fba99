"""A client's link in both directions, as written in TOML: keys for both directions, tables for one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import msgspec

from halfopen.errors import InputError
from halfopen.model import schema
from halfopen.netns.impairment import Impairment

#: Keys that are not one direction's impairment.
_DIRECTIONS = ("to_client", "to_server")


class LinkSpec(msgspec.Struct, frozen=True):
    """The client's link, one impairment for each direction."""

    to_client: Impairment = Impairment()
    to_server: Impairment = Impairment()

    def __str__(self) -> str:
        if self.to_client == self.to_server:
            return str(self.to_client)
        return f"to client {self.to_client}, to server {self.to_server}"

    @property
    def netem_fields(self) -> list[str]:
        """Names of the fields in use, in either direction, that only sch_netem can carry out."""
        return list(dict.fromkeys([*self.to_client.netem_fields, *self.to_server.netem_fields]))

    @property
    def has_rate(self) -> bool:
        """True if either direction has a rate."""
        return bool(self.to_client.rate or self.to_server.rate)

    @classmethod
    def from_table(cls, table: Mapping[str, Any], where: str) -> Self:
        """Read a table. A direction's own keys override those for both. Raises InputError."""
        both = {key: value for key, value in table.items() if key not in _DIRECTIONS}
        return cls(**{direction: _impairment(table, both, direction, where) for direction in _DIRECTIONS})


def _impairment(table: Mapping[str, Any], both: dict[str, Any], direction: str, where: str) -> Impairment:
    one = table.get(direction, {})
    if not isinstance(one, dict):
        raise InputError(f"{where}: key {direction!r} takes a table, got {one!r}")
    written = both | one
    impairment = schema.convert(written, Impairment, where)
    if "rate" in written and not impairment.rate:
        raise InputError(f"{where}: key 'rate' is nothing; leave it out for a link without a limit")
    if "limit" in written and not impairment.limit:
        raise InputError(f"{where}: key 'limit' is 0 packets, which lets nothing through; leave it out for no limit")
    return impairment
