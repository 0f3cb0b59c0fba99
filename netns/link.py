"""A link: a veth pair between two hosts, impaired per direction, that can be cut and healed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

from netns import shaping
from netns.errors import LabError
from netns.firewall import Cut
from netns.host import Host
from netns.impairment import NONE, Impairment


@dataclass(frozen=True, slots=True)
class End:
    """Where a link meets a host."""

    host: Host
    interface: str
    mac: str
    ip: str
    index: int = 0
    """The interface's number in its host; 0 until the link is made."""


class Link:
    """The wire between two hosts. Made by :meth:`netns.lab.Lab.link`."""

    def __init__(self, a: End, b: End) -> None:
        self._asked: dict[str, Impairment] = {}
        a.host.routes.link(
            "add",
            ifname=a.interface,
            address=a.mac,
            kind="veth",
            peer={"ifname": b.interface, "address": b.mac, "net_ns_fd": b.host.fileno()},
        )
        self.a, self.b = (replace(end, index=end.host.routes.link_lookup(ifname=end.interface)[0]) for end in (a, b))
        self._address()

    def _address(self) -> None:
        for near, far in ((self.a, self.b), (self.b, self.a)):
            routes = near.host.routes
            routes.addr("add", index=near.index, address=near.ip, prefixlen=24)
            routes.link("set", index=near.index, state="up")
            # Permanent, because an ARP reply stuck in a deep queue looks like an outage.
            routes.neigh("add", ifindex=near.index, dst=far.ip, lladdr=far.mac, state="permanent")

    def __repr__(self) -> str:
        return f"Link({self.a.host.name!r}, {self.b.host.name!r})"

    def end(self, host: Host) -> End:
        """This link's end at ``host``; raises LabError if the host is not on it."""
        return self._ends(host)[0]

    def _ends(self, host: Host) -> tuple[End, End]:
        for near, far in ((self.a, self.b), (self.b, self.a)):
            if near.host is host:
                return near, far
        raise LabError(f"host {host.name!r} is not on the link between {self.a.host.name!r} and {self.b.host.name!r}")

    def asked(self, toward: Host) -> Impairment:
        """The impairment in force for packets that travel towards ``toward``."""
        near, _ = self._ends(toward)
        return self._asked.get(near.host.name, NONE)

    def impair(self, toward: Host, impairment: Impairment) -> None:
        """Impair the packets that travel towards ``toward``, in place of what was asked before.

        Carried out where they leave the far end. Raises UnsupportedError if the kernel lacks it.
        """
        near, far = self._ends(toward)
        shaping.shape(far.host.routes, far.index, impairment, before=self.asked(toward))
        self._asked[near.host.name] = impairment

    @contextlib.contextmanager
    def cut(self, toward: Host | None = None) -> Iterator[None]:
        """Drop silently what travels towards ``toward`` (None: both ways) until the context is left.

        The router on this link drops it while forwarding, so neither end's own TCP is told, as on a
        real network. Raises LabError if no end of the link is a router.
        """
        router, far = self._router_and_far()
        directions = {None: "both", far.host: "to", router.host: "from"}
        if toward not in directions:
            self._ends(toward or router.host)
        cut = Cut(router.host, far.ip, directions[toward])
        try:
            yield
        finally:
            cut.heal()

    def _router_and_far(self) -> tuple[End, End]:
        for near, far in ((self.a, self.b), (self.b, self.a)):
            if near.host.is_router:
                return near, far
        raise LabError(
            f"the link between {self.a.host.name!r} and {self.b.host.name!r} ends at no router: "
            "a cut needs one, since a drop at an end would be seen by that end's own TCP"
        )
