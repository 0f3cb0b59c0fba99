"""How bad a link is, in one direction: asked for in text with units, carried out by qdiscs (halfopen.netns.shaping)."""

from __future__ import annotations

import math

import msgspec

from halfopen.netns import units
from halfopen.netns.distributions import Distribution
from halfopen.netns.units import BitRate, Duration, Share

#: The kernel keeps jitter in 31 bits of nanoseconds and cuts off what is more (net/sched/sch_netem.c, netem_change).
_MOST_JITTER = (2**31 - 1) / 1e9
_MOST_PACKETS = 2**32 - 1
_MOST_SEED = 2**64 - 1


class GilbertElliott(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename={"lost_in_bad": "1-h", "lost_in_good": "1-k"},
):
    """Losses in bursts: a link that is now good, now bad, by the names of tc-netem(8).

    Before each packet the link may change, so bad times last 1/r packets on average and good ones 1/p.
    """

    p: Share
    """Probability that a good link turns bad."""
    r: Share | None = None
    """Probability that a bad link turns good; None: 1 - p, as tc has it."""
    lost_in_bad: Share = Share(1)
    """Share of packets lost while it is bad."""
    lost_in_good: Share = Share(0)
    """Share of packets lost while it is good."""

    @property
    def recovery(self) -> Share:
        """The r in force."""
        return Share(1 - self.p) if self.r is None else self.r

    def __str__(self) -> str:
        parts = [f"p {_percent(self.p)}", f"r {_percent(self.recovery)}"]
        if self.lost_in_bad < 1:
            parts.append(f"1-h {_percent(self.lost_in_bad)}")
        if self.lost_in_good:
            parts.append(f"1-k {_percent(self.lost_in_good)}")
        return " ".join(parts)


class Impairment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a link does to the packets of one direction; every field's zero is "nothing".

    A correlation is the weight of the last random number in the next. Numbers that hang together keep
    to the middle, so shares come out other than asked (tc-netem(8)): for losses in bursts take ``loss_model``.
    There is none of jitter: the kernel takes a delay from the lowest bits of the number, which do not hang
    together (net/sched/sch_netem.c, tabledist).
    """

    delay: Duration = Duration(0)
    jitter: Duration = Duration(0)
    """How far delays stray from ``delay``; packets may overtake each other. See ``distribution``."""
    distribution: Distribution = "uniform"
    """How: evenly at most by ``jitter``, or with ``jitter`` as (about) the standard deviation, cut off at
    four of them. A delay below zero is none."""
    loss: Share = Share(0)
    loss_correlation: Share = Share(0)
    loss_model: GilbertElliott | None = None
    """Losses in bursts, in place of ``loss``."""
    duplicate: Share = Share(0)
    duplicate_correlation: Share = Share(0)
    reorder: Share = Share(0)
    """Share of packets sent at once instead of after ``delay``; they pass by ``rate`` too."""
    reorder_correlation: Share = Share(0)
    gap: int = 0
    """After a packet sent at once, so many less one are not; 0 and 1: any packet may be next."""
    corrupt: Share = Share(0)
    """Share of packets in which one bit is turned over."""
    corrupt_correlation: Share = Share(0)
    rate: BitRate = BitRate(0)
    queue: Duration = Duration(0)
    """For how long packets may wait for the rate, at least two of them; what is more is lost. 0: 50 ms."""
    limit: int = 0
    """Packets under way at most; one more is lost. 0: as many as come, so that none is lost unasked."""
    seed: int | None = None
    """Of the random numbers, to have the same packets hit again; kernels before 6.6 take none."""

    def __post_init__(self) -> None:
        """Refuse what the kernel would silently not do (tc-netem(8)); raises ValueError."""
        if self.rate and not 8 <= self.rate <= 1e12:
            raise ValueError(f"a rate of {self.rate:.4g} bit/s is out of range: from 8bit to 1000Gbit")
        if self.queue and not self.rate:
            raise ValueError(f"a queue of {units.show_duration(self.queue)} needs a rate to wait for")
        self._check_jitter()
        self._check_reorder()
        if self.loss and self.loss_model:
            raise ValueError(f"loss of {_percent(self.loss)} and a loss_model exclude each other: leave one out")
        for name in _SHARES:
            correlation: float = getattr(self, f"{name}_correlation")
            if correlation and not getattr(self, name):
                raise ValueError(f"{name}_correlation of {_percent(correlation)} needs a {name} to apply to")
        if not 0 <= self.limit <= _MOST_PACKETS:
            raise ValueError(f"a limit of {self.limit} packets is out of range: from 1 to {_MOST_PACKETS}")
        if self.seed is not None and not 0 <= self.seed <= _MOST_SEED:
            raise ValueError(f"a seed of {self.seed} is out of range: from 0 to {_MOST_SEED}")

    def _check_jitter(self) -> None:
        shown = units.show_duration(self.jitter)
        if self.jitter and not self.delay:
            raise ValueError(f"jitter of {shown} needs a delay to vary")
        if self.jitter > _MOST_JITTER:
            raise ValueError(f"jitter of {shown} is more than the kernel can do: at most 2147ms")
        if self.distribution != "uniform" and not self.jitter:
            raise ValueError(f"distribution {self.distribution!r} needs a jitter to spread")

    def _check_reorder(self) -> None:
        if self.reorder and not self.delay:
            raise ValueError(f"reorder of {self.reorder:.1%} needs a delay, or all packets are equally early")
        if self.gap and not self.reorder:
            raise ValueError(f"a gap of {self.gap} needs a reorder to space out")
        if not 0 <= self.gap <= _MOST_PACKETS:
            raise ValueError(f"a gap of {self.gap} packets is out of range: from 1 to {_MOST_PACKETS}")

    @property
    def needs_netem(self) -> bool:
        """Whether the kernel must have sch_netem for this; a rate alone does not need it."""
        return bool(self.netem_fields)

    @property
    def netem_fields(self) -> list[str]:
        """The names of the fields in force which only sch_netem can carry out."""
        return [name for name in _NETEM_FIELDS if getattr(self, name)]

    @property
    def is_random(self) -> bool:
        """Whether it draws random numbers, so that a seed tells one run from another."""
        return any(getattr(self, name) for name in _RANDOM_FIELDS)

    def __str__(self) -> str:
        parts = []
        if self.delay:
            jitter = f"±{units.show_duration(self.jitter)}" if self.jitter else ""
            spread = "" if self.distribution == "uniform" else f" {self.distribution}"
            parts.append(units.show_duration(self.delay) + jitter + spread)
        parts += [f"{name} {_percent(getattr(self, name))}" for name in _SHARES if getattr(self, name)]
        if self.loss_model:
            parts.append(f"loss in bursts {self.loss_model}")
        if self.rate:
            queue = f" with a queue of {units.show_duration(self.queue)}" if self.queue else ""
            parts.append(units.show_bit_rate(self.rate) + queue)
        if self.limit:
            parts.append(f"at most {self.limit} packets")
        return ", ".join(parts) or "unimpaired"


def _percent(share: float) -> str:
    return f"{share * 100:.4g}%"


_SHARES = ("loss", "duplicate", "reorder", "corrupt")
_RANDOM_FIELDS = ("jitter", *_SHARES, "loss_model")
_NETEM_FIELDS = ("delay", "jitter", "loss", "loss_model", "duplicate", "reorder", "corrupt", "limit")

NONE = Impairment()


def differences(asked: Impairment, does: Impairment) -> list[str]:
    """Where what is done is not what was asked, a text each: ``"rate: asked 100bit, in force 96bit"``.

    Less than a millionth is no difference: the kernel counts in whole nanoseconds and 2^32nds. Nor is a
    seed that nobody asked for.
    """
    wanted, got = _values(asked), _values(does)
    if asked.seed is None:
        del wanted["seed"]
    return [
        f"{name}: asked {_show(value)}, in force {_show(got[name])}"
        for name, value in wanted.items()
        if not _same(value, got[name])
    ]


_Value = float | str | None


def _values(impairment: Impairment) -> dict[str, _Value]:
    values = {name: getattr(impairment, name) for name in Impairment.__struct_fields__}
    model = values.pop("loss_model")
    values["gap"] = max(impairment.gap, 1)
    return values | {
        "loss_model.p": model and model.p,
        "loss_model.r": model and model.recovery,
        "loss_model.1-h": model and model.lost_in_bad,
        "loss_model.1-k": model and model.lost_in_good,
    }


def _same(one: _Value, other: _Value) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-6)
    return one == other


def _show(value: _Value) -> str:
    if isinstance(value, Duration):
        return units.show_duration(value)
    if isinstance(value, Share):
        return _percent(value)
    if isinstance(value, BitRate):
        return units.show_bit_rate(value)
    return "none" if value is None else str(value)
