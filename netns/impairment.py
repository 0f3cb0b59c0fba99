"""Impairment of one direction of a link: written as text with units, carried out by qdiscs (halfopen.netns.shaping)."""

from __future__ import annotations

import math

import msgspec

from halfopen.netns import units
from halfopen.netns.distributions import Distribution
from halfopen.netns.units import BitRate, Duration, Share

#: The kernel keeps jitter in 31 bits of nanoseconds and clamps larger values (net/sched/sch_netem.c, netem_change).
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
    """Losses in bursts: a link that alternates between good and bad, with the names of tc-netem(8).

    The link may change before each packet, so bad times last 1/r packets on average and good ones 1/p.
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
        """The effective r."""
        return Share(1 - self.p) if self.r is None else self.r

    def __str__(self) -> str:
        parts = [f"p {_percent(self.p)}", f"r {_percent(self.recovery)}"]
        if self.lost_in_bad < 1:
            parts.append(f"1-h {_percent(self.lost_in_bad)}")
        if self.lost_in_good:
            parts.append(f"1-k {_percent(self.lost_in_good)}")
        return " ".join(parts)


class Impairment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Effects of a link on the packets of one direction; zero in any field means no effect.

    A correlation is the weight of the last random number in the next. Correlated numbers stay near the middle, so
    shares differ from those requested (tc-netem(8)). Use ``loss_model`` for losses in bursts. Jitter has no
    correlation: the kernel takes a delay from the lowest bits of the number, which are uncorrelated
    (net/sched/sch_netem.c, tabledist).
    """

    delay: Duration = Duration(0)
    jitter: Duration = Duration(0)
    """Deviation from ``delay``; packets may overtake each other. See ``distribution``."""
    distribution: Distribution = "uniform"
    """Shape of the jitter.

    "uniform" spreads evenly, at most by ``jitter``. For the others ``jitter`` is (about) the standard deviation, cut
    off at four of them. Negative delays become zero.
    """
    loss: Share = Share(0)
    loss_correlation: Share = Share(0)
    loss_model: GilbertElliott | None = None
    """Losses in bursts, in place of ``loss``."""
    duplicate: Share = Share(0)
    duplicate_correlation: Share = Share(0)
    reorder: Share = Share(0)
    """Share of packets sent at once instead of after ``delay``; they bypass ``rate`` too."""
    reorder_correlation: Share = Share(0)
    gap: int = 0
    """After a packet sent at once, this many less one are not; 0 and 1: any packet may be next."""
    corrupt: Share = Share(0)
    """Share of packets in which one bit is flipped."""
    corrupt_correlation: Share = Share(0)
    rate: BitRate = BitRate(0)
    queue: Duration = Duration(0)
    """Longest wait of a packet for the rate, at least two packets; excess packets are lost. 0: 50 ms."""
    limit: int = 0
    """Most packets in flight; excess packets are lost. 0: unlimited, so that none is lost unasked."""
    seed: int | None = None
    """Seed of the random numbers, to hit the same packets again; kernels before 6.6 accept none."""

    def __post_init__(self) -> None:
        """Refuse values that the kernel would silently not carry out (tc-netem(8)); raises ValueError."""
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
    def netem_fields(self) -> list[str]:
        """Names of the fields in force that only sch_netem can carry out; a rate alone needs none."""
        return [name for name in _NETEM_FIELDS if getattr(self, name)]

    @property
    def is_random(self) -> bool:
        """True if it draws random numbers, so that the seed changes a run."""
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
    """List the differences between the requested and the effective impairment.

    Each is a text such as ``"rate: asked 100bit, in force 96bit"``. Differences below a millionth do not count, since
    the kernel counts in whole nanoseconds and 2^32nds. Nor does a seed that was not requested.
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


def _same(asked: _Value, does: _Value) -> bool:
    if isinstance(asked, float) and isinstance(does, float):
        return math.isclose(asked, does, rel_tol=1e-6)
    return asked == does


def _show(value: _Value) -> str:
    if isinstance(value, Duration):
        return units.show_duration(value)
    if isinstance(value, Share):
        return _percent(value)
    if isinstance(value, BitRate):
        return units.show_bit_rate(value)
    return "none" if value is None else str(value)
