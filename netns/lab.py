"""A lab: hosts and the links between them. No trace is left when it ends."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable
from typing import Self

from halfopen.netns import shaping
from halfopen.netns.host import LOOPBACK, Host
from halfopen.netns.lab_errors import LabError
from halfopen.netns.link import End, Link

#: Number of /24 networks in RFC 2544's benchmarking range, 198.18.0.0/15: two octets to count in.
_NETWORKS = 512
#: Index of our first interface, above the tunnel devices (tunl0, sit0) that some kernels add to every new namespace.
_FIRST_INDEX = 1000


class Lab:
    """An isolated network. Use it as a context manager, in namespaces of its own (halfopen.netns.isolation).

    ::

        client ──link──▶ router ──link──▶ server

    Its methods create hosts and links; leaving the context ends them all.
    """

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._hosts: dict[str, Host] = {}
        self._networks = itertools.count()
        self._interfaces = itertools.count(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def host(self, name: str) -> Host:
        """Create a host; raises LabError if the lab has one of that name."""
        return self._add(name)

    def adopt(self, name: str, namespace: int) -> Host:
        """Create a host from an existing network namespace's descriptor; raises LabError if it may not be entered.

        It is treated as the lab's own: when the lab ends, so does every connection in it.
        """
        return self._add(name, namespace=namespace)

    def router(self, name: str) -> Host:
        """Create a host that forwards packets arriving on its links."""
        return self._add(name, is_router=True)

    def _add(self, name: str, *, is_router: bool = False, namespace: int | None = None) -> Host:
        if name in self._hosts:
            raise LabError(f"the lab already has a host {name!r}; give every host a name of its own")
        host = self._hosts[name] = Host(name, is_router=is_router, namespace=namespace)
        self._stack.callback(host.close)
        return host

    def link(self, a: Host, b: Host) -> Link:
        """Connect two hosts with a network of their own, the first address for ``a``, the second for ``b``.

        An end host whose first link leads to a router sends everything there.
        """
        number = next(self._networks)
        if number >= _NETWORKS:
            raise LabError(f"a lab has at most {_NETWORKS} links (198.18.0.0/15); use fewer")
        return Link(self._end(a, number, 1), self._end(b, number, 2))

    def _end(self, host: Host, network: int, position: int) -> End:
        interface = next(self._interfaces)
        return End(
            host=host,
            interface=f"eth{interface}",
            # Locally administered (IEEE 802), unique in the lab.
            mac=f"02:00:00:00:{interface >> 8:02x}:{interface & 0xFF:02x}",
            ip=f"198.{18 + (network >> 8)}.{network & 0xFF}.{position}",
            index=_FIRST_INDEX + interface,
        )


def kernel_has_discipline(kind: str) -> bool:
    """True if this kernel offers a queueing discipline, such as ``"netem"``; tested in a lab of its own."""
    with Lab() as lab:
        return shaping.has_discipline(lab.host("probe"), LOOPBACK, kind)


def lacking_disciplines(kinds: Iterable[str]) -> list[str]:
    """Return those of these queueing disciplines that this kernel lacks."""
    return [kind for kind in kinds if not kernel_has_discipline(kind)]
