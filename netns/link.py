"""A link: a veth pair between two hosts, impaired per direction, that can be cut and healed."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from halfopen.netns import rtnetlink
from halfopen.netns.host import Host
from halfopen.netns.impairment import Impairment, differences
from halfopen.netns.lab_errors import LabError
from halfopen.netns.netlink import NetlinkRequest
from halfopen.netns.shaping import QdiscReport, Shaper

if TYPE_CHECKING:
    from halfopen.netns.firewall import Cut

#: Seconds within which the kernel must bring an interface up, and seconds between two polls.
_PATIENCE, _PAUSE = 10.0, 1e-4


@dataclass(frozen=True, slots=True)
class End:
    """The point at which a link meets a host."""

    host: Host
    interface: str
    mac: str
    ip: str
    index: int
    """The interface's number in its host."""


class Link:
    """The wire between two hosts, made by :meth:`halfopen.netns.lab.Lab.link`. Any thread may impair and query it."""

    def __init__(self, a: End, b: End) -> None:
        self.a, self.b = a, b
        #: Serializes requests to the kernel: a readback must match the last request.
        self._turn = threading.RLock()
        #: Keyed by the end that packets leave from.
        self._shapers = {end.host.name: Shaper(end.host, end.index) for end in (a, b)}
        wire = rtnetlink.veth((a.interface, a.index, a.mac), (b.interface, b.index, b.mac), b.host.fileno())
        try:
            a.host.configure(wire, *_settings(a, b))
            b.host.configure(*_settings(b, a))
            _await_running(a, b)
        except BaseException:
            with contextlib.suppress(OSError):
                a.host.configure(rtnetlink.delete(a.index))
            raise
        for near, far in ((a, b), (b, a)):
            near.host.has_default_route |= _leads_out(near, far)

    def __repr__(self) -> str:
        return f"Link({self.a.host.name!r}, {self.b.host.name!r})"

    def end(self, host: Host) -> End:
        """Return this link's end at ``host``; raises LabError if the host is not on it."""
        return self._ends(host)[0]

    def other(self, host: Host) -> Host:
        """Return the host at the other end; raises LabError if ``host`` is not on this link."""
        return self._ends(host)[1].host

    def _ends(self, host: Host) -> tuple[End, End]:
        for near, far in ((self.a, self.b), (self.b, self.a)):
            if near.host is host:
                return near, far
        raise LabError(f"{self}: host {host.name!r} is not on this link")

    def _toward(self, toward: Host) -> Shaper:
        return self._shapers[self.other(toward).name]

    def asked(self, toward: Host) -> Impairment:
        """Return the impairment in force for packets that travel towards ``toward``, as requested."""
        return self._toward(toward).asked

    def does(self, toward: Host) -> QdiscReport:
        """Return the kernel's own report of its effect on packets that travel towards ``toward``; raises OSError."""
        with self._turn:
            return self._toward(toward).report()

    def differences(self, toward: Host) -> list[str]:
        """List the differences between the requested and the effective impairment; raises OSError.

        For example a rounded rate, or a seed that the kernel does not support.
        """
        with self._turn:
            return differences(self.asked(toward), self.does(toward).impairment)

    def impair(self, toward: Host, impairment: Impairment) -> None:
        """Impair the packets that travel towards ``toward``; replaces the earlier impairment.

        It acts on packets leaving the far end, and loses none in flight. If the kernel lacks a feature it needs, raises
        UnsupportedError and leaves the link unimpaired.
        """
        with self._turn:
            self._toward(toward).shape(impairment)

    @contextlib.contextmanager
    def cut(self, toward: Host | None = None) -> Iterator[Cut]:
        """Silently drop packets that travel towards ``toward`` (None: both ways) until the context is left.

        The router on this link drops them while forwarding. Neither end's own TCP learns of it, as on a real network.
        Raises LabError if no end of the link is a router.
        """
        # Imported here: pyroute2 is most of the cost of importing a lab, and few scenarios need it.
        from halfopen.netns.firewall import Cut  # noqa: PLC0415

        near, far = (self.a, self.b) if self.a.host.is_router else (self.b, self.a)
        if not near.host.is_router:
            raise LabError(f"{self}: a cut needs a router at one end, since an end's own TCP would notice a drop there")
        ends = ["dst", "src"] if toward is None else ["dst" if self.end(toward) is far else "src"]
        cut = Cut(near.host, far.ip, ends)
        try:
            yield cut
        finally:
            cut.heal()


def _await_running(*ends: End) -> None:
    """Wait until both ends pass packets on; until then the kernel drops them silently.

    The kernel attaches an interface's queue in the background (net/core/link_watch.c), and on a virtual clock only once
    some process sleeps. Raises LabError on timeout.
    """
    until = time.monotonic() + _PATIENCE
    for end in ends:
        while not end.host.is_running(end.index):
            if time.monotonic() > until:
                raise LabError(f"interface {end.interface} of host {end.host.name!r} did not come up in {_PATIENCE:g}s")
            time.sleep(_PAUSE)


def _settings(near: End, far: End) -> list[NetlinkRequest]:
    """Return the requests that make the interface at ``near`` lead to ``far``."""
    settings = [
        rtnetlink.address(near.index, near.ip, 24),
        rtnetlink.up(near.index),
        # Permanent, because an ARP reply stuck in a deep queue looks like an outage.
        rtnetlink.neighbour(near.index, far.ip, far.mac),
        rtnetlink.forwarding(near.index, near.host.is_router),
    ]
    if _leads_out(near, far):
        settings.append(rtnetlink.default_route(far.ip))
    return settings


def _leads_out(near: End, far: End) -> bool:
    """True if the host at ``near`` has its default route over this link."""
    return far.host.is_router and not near.host.is_router and not near.host.has_default_route
