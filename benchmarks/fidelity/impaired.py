"""Measure impaired links against their settings, one direction at a time: client, router and server."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from benchmarks.fidelity import stamps
from benchmarks.fidelity.readings import Delay, Loss, Rate
from benchmarks.fidelity.stamps import Flight
from halfopen.netns import lab
from halfopen.netns.host import Host
from halfopen.netns.impairment import NONE, Impairment
from halfopen.netns.lab import Lab
from halfopen.netns.link import Link
from halfopen.netns.units import BitRate, Duration, Share

#: Seconds of delay and of jitter.
DELAYS = ((0.0, 0.0), (0.001, 0.0), (0.001, 0.0005), (0.02, 0.0), (0.02, 0.005), (0.15, 0.0), (0.15, 0.03))
LOSSES = (0.0, 0.01, 0.1)
#: Rates in bit/s, and seconds to send at each.
RATES = ((64e3, 20.0), (1e6, 5.0), (10e6, 2.0), (50e6, 1.0))

_SMALL, _FULL = 100, 1514
_PACKETS, _INTERVAL = 500, 0.002
_LOST_OF, _LOST_INTERVAL = 20_000, 0.0001
#: Ratio of the rate sent to the rate limit.
_EXCESS = 1.25


class Path:
    """A client, its impaired link to a router, and a server beyond."""

    def __init__(self, place: Lab) -> None:
        self.client, router, self.server = place.host("client"), place.router("router"), place.host("server")
        self.link: Link = place.link(self.client, router)
        self.towards = {"client": self.client, "server": router}
        self._addresses = {"client": self.link.a.ip, "server": place.link(router, self.server).b.ip}

    def send(self, toward: str, impairment: Impairment, *, frame: int, interval: float, count: int) -> Flight:
        """Send from one end to the other over the link impaired in that direction."""
        here, there = self._ends(toward)
        self.link.impair(self.towards[toward], impairment)
        try:
            return stamps.send(here, there, self._addresses[toward], frame=frame, interval=interval, count=count)
        finally:
            self.link.impair(self.towards[toward], NONE)

    def _ends(self, toward: str) -> tuple[Host, Host]:
        return (self.server, self.client) if toward == "client" else (self.client, self.server)


def has_netem() -> bool:
    """True if the kernel can delay and drop packets (netem)."""
    return lab.kernel_has_discipline("netem")


def delays() -> Iterator[Delay]:
    """Measure one-way delays of packets on an otherwise idle link."""
    with Lab() as place:
        path = Path(place)
        for (asked, jitter), toward in itertools.product(DELAYS, path.towards):
            impairment = Impairment(delay=Duration(asked), jitter=Duration(jitter))
            flight = path.send(toward, impairment, frame=_SMALL, interval=_INTERVAL, count=_PACKETS)
            yield Delay(asked, jitter, toward, flight.delays)


def losses() -> Iterator[Loss]:
    """Count the packets that do not arrive."""
    with Lab() as place:
        path = Path(place)
        for asked, toward in itertools.product(LOSSES, path.towards):
            impairment = Impairment(loss=Share(asked))
            flight = path.send(toward, impairment, frame=_SMALL, interval=_LOST_INTERVAL, count=_LOST_OF)
            yield Loss(asked, toward, len(flight.sent), len(flight.sent) - len(flight.received))


def rates() -> Iterator[Rate]:
    """Measure the rate that arrives when more is sent than the limit allows."""
    with Lab() as place:
        path = Path(place)
        for (asked, duration), toward in itertools.product(RATES, path.towards):
            interval = _FULL * 8 / asked / _EXCESS
            flight = path.send(
                toward,
                Impairment(rate=BitRate(asked)),
                frame=_FULL,
                interval=interval,
                count=round(duration / interval),
            )
            yield Rate(asked, toward, _rate(flight))


def _rate(flight: Flight) -> float:
    """Rate in bit/s without the first quarter of the frames, where the bucket lets a burst through at once."""
    arrivals = sorted(flight.received.values())
    steady = arrivals[len(arrivals) // 4 :]
    return (len(steady) - 1) * _FULL * 8 / (steady[-1] - steady[0]) * 1e9
