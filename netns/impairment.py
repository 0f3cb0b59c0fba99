"""How bad a link is, in one direction: asked for in text with units, carried out by qdiscs."""

from __future__ import annotations

import msgspec

from netns import units
from netns.units import BitRate, Duration, Share

#: Of these the queue may hold 50 ms (at least two full frames) before it drops, as a home router's might.
_TBF_LATENCY = 0.05
_FRAME = 1514


class Impairment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a link does to the packets of one direction; every field's zero is "nothing"."""

    delay: Duration = Duration(0)
    jitter: Duration = Duration(0)
    """Half the width of the band, around ``delay``, in which delays are spread evenly."""
    loss: Share = Share(0)
    duplicate: Share = Share(0)
    reorder: Share = Share(0)
    """Share of packets sent at once instead of after ``delay``."""
    corrupt: Share = Share(0)
    rate: BitRate = BitRate(0)

    def __post_init__(self) -> None:
        """Refuse what the kernel would silently not do (tc-netem(8)); raises ValueError."""
        if self.rate and not 8 <= self.rate <= 1e12:
            raise ValueError(f"a rate of {self.rate:.4g} bit/s is out of range: from 8bit to 1000Gbit")
        if self.jitter and not self.delay:
            raise ValueError(f"jitter of {units.show_duration(self.jitter)} needs a delay to vary")
        if self.reorder and not self.delay:
            raise ValueError(f"reorder of {self.reorder:.1%} needs a delay, or all packets are equally early")

    @property
    def needs_netem(self) -> bool:
        """Whether the kernel must have sch_netem for this; a rate alone does not need it."""
        return bool(self.netem_fields)

    @property
    def netem_fields(self) -> list[str]:
        """The names of the fields in force which only sch_netem can carry out."""
        return [name for name in _NETEM_FIELDS if getattr(self, name)]

    def __str__(self) -> str:
        parts = []
        if self.delay:
            jitter = f"±{units.show_duration(self.jitter)}" if self.jitter else ""
            parts.append(units.show_duration(self.delay) + jitter)
        parts += [
            f"{name} {getattr(self, name) * 100:.4g}%"
            for name in ("loss", "duplicate", "reorder", "corrupt")
            if getattr(self, name)
        ]
        if self.rate:
            parts.append(units.show_bit_rate(self.rate))
        return ", ".join(parts) or "unimpaired"


_NETEM_FIELDS = ("delay", "jitter", "loss", "duplicate", "reorder", "corrupt")

NONE = Impairment()


def netem_options(impairment: Impairment) -> dict[str, int | float]:
    """The keyword arguments of pyroute2's ``tc("add", "netem", ...)``: times in microseconds, shares in percent."""
    options: dict[str, int | float] = {}
    if impairment.delay:
        options["delay"] = round(impairment.delay * 1e6)
    if impairment.jitter:
        options["jitter"] = round(impairment.jitter * 1e6)
    for field, option in (
        ("loss", "loss"),
        ("duplicate", "duplicate"),
        ("reorder", "prob_reorder"),
        ("corrupt", "prob_corrupt"),
    ):
        value: float = getattr(impairment, field)
        if value:
            options[option] = value * 100
    return options


def tbf_options(rate: BitRate) -> dict[str, int]:
    """The keyword arguments of pyroute2's ``tc("add", "tbf", ...)``: bytes a second, bytes, bytes (tc-tbf(8)).

    The bucket holds what the rate lets through in 10 ms, at least one frame; the queue behind it 50 ms.
    """
    bytes_per_second = rate / 8
    burst = max(round(bytes_per_second * 0.01), _FRAME)
    limit = burst + max(round(bytes_per_second * _TBF_LATENCY), 2 * _FRAME)
    return {"rate": round(bytes_per_second), "burst": burst, "limit": limit}
