"""What is measured, as it comes out of a guest: frozen values that go through JSON."""

from __future__ import annotations

import msgspec

from benchmarks.fidelity.promises import Timer


class Wait(msgspec.Struct, frozen=True):
    """One way of waiting, asked for one time, again and again."""

    way: str
    timer: Timer
    asked: float
    took: list[float]
    waits: int = 1
    """How many timers ran one after the other."""

    @property
    def late(self) -> float:
        """The most by which it ended late, seconds."""
        return max(self.took) - self.asked


class Clocks(msgspec.Struct, frozen=True):
    """How the clocks went on, in seconds."""

    asleep: dict[str, float]
    """By each clock, over the same sleep of 10 s."""
    working: float
    """By CLOCK_MONOTONIC, over work that takes a second or so of a processor."""


class Delay(msgspec.Struct, frozen=True):
    """One-way delays of many packets, seconds."""

    asked: float
    jitter: float
    toward: str
    took: list[float]


class Loss(msgspec.Struct, frozen=True):
    """How many of the packets sent did not arrive."""

    asked: float
    toward: str
    sent: int
    lost: int


class Rate(msgspec.Struct, frozen=True):
    """What came through of more than was let through, bit/s of whole Ethernet frames."""

    asked: float
    toward: str
    measured: float


class Report(msgspec.Struct, frozen=True):
    """All that was measured on one kernel."""

    release: str
    jiffy: float
    waits: list[Wait] = []
    clocks: Clocks | None = None
    delays: list[Delay] = []
    losses: list[Loss] = []
    rates: list[Rate] = []
