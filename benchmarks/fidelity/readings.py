"""Measurements as a guest reports them: frozen values, sent as JSON."""

from __future__ import annotations

import msgspec

from benchmarks.fidelity.promises import Timer


class Wait(msgspec.Struct, frozen=True):
    """Repeated measurements of one way of waiting for one duration."""

    way: str
    timer: Timer
    asked: float
    took: list[float]
    waits: int = 1
    """Number of timers that ran one after the other."""

    @property
    def late(self) -> float:
        """The most by which a wait ended late, in seconds."""
        return max(self.took) - self.asked


class Clocks(msgspec.Struct, frozen=True):
    """Progress of the clocks, in seconds."""

    asleep: dict[str, float]
    """Progress of each clock over the same sleep of 10 s."""
    working: float
    """Progress of CLOCK_MONOTONIC over work that takes a processor about a second."""


class Delay(msgspec.Struct, frozen=True):
    """One-way delays of many packets, in seconds."""

    asked: float
    jitter: float
    toward: str
    took: list[float]


class Loss(msgspec.Struct, frozen=True):
    """Number of packets sent and lost."""

    asked: float
    toward: str
    sent: int
    lost: int


class Rate(msgspec.Struct, frozen=True):
    """Rate in bit/s of whole Ethernet frames that arrived when more was sent than the limit allows."""

    asked: float
    toward: str
    measured: float


class Report(msgspec.Struct, frozen=True):
    """All measurements on one kernel."""

    release: str
    jiffy: float
    waits: list[Wait] = []
    clocks: Clocks | None = None
    delays: list[Delay] = []
    losses: list[Loss] = []
    rates: list[Rate] = []
