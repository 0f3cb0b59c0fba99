"""Packets on a link in a guest compared with the request. Each case is measured once, and checked by several tests.

On the virtual clock delays are exact. Random results are held against bounds that a correct kernel exceeds less than
once in a million runs of this file (tests.chance).
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple, get_args

import pytest

from halfopen.netns.distributions import Distribution
from halfopen.netns.impairment import NONE, GilbertElliott, Impairment
from halfopen.netns.shaping import QdiscReport
from halfopen.netns.units import BitRate, Duration, Share
from tests import chance
from tests.in_guest import in_guest
from tests.machine import needs_guest
from tests.netns.wire import Arrival, Wire, wire

pytestmark = needs_guest

#: Seconds. The virtual clock's timers are exact, but the kernel stamps a packet slightly later.
EXACT = 1e-6

MEAN, JITTER = 0.1, 0.02
BURSTY = GilbertElliott(p=Share(0.1), r=Share(0.25))
FRAME = bytes.fromhex("020000000002 020000000001 88b5") + b"\x55" * 86
SOME, MANY = 500, 2000
#: Packets that fit the queue of a slow rate, but not its bucket.
BURST = 50
BURSTS = 100
EVENTUALLY, SOON = Duration(1.0), Duration(0.5)


class Reordered(NamedTuple):
    """Packets that came at once."""

    early: set[int]
    counted: int
    """Number of reordered packets that the kernel reports."""
    spaced: set[int]


class Crowd(NamedTuple):
    """Many packets at the same time."""

    queued: int
    dropped: int
    arrived: int


class Slow(NamedTuple):
    """More packets than a rate lets through."""

    arrivals: list[Arrival]
    effect: QdiscReport


class Measured(NamedTuple):
    """Measurements of all packets sent."""

    delayed: list[Arrival]
    spread: dict[Distribution, list[float]]
    """Delays by distribution."""
    correlated: dict[str, list[bool]]
    """For each kind of accident, at half of the packets: the packets that had it."""
    lost: int
    bursty: list[bool]
    """True for each packet that was lost."""
    lost_in_bad: int
    lost_in_good: int
    copies: Counter[int]
    """Number of copies of each packet that arrived."""
    reordered: Reordered
    frames: list[bytes]
    """Received copies of FRAME, which was sent many times."""
    limited: Crowd
    unlimited: Crowd
    slow: Slow
    changed: tuple[list[int], list[Arrival]]
    """Packets in flight after each of CHANGES, and all that arrived."""
    seeded: list[tuple[set[int], int | None, list[str]]]


@in_guest
def measure() -> Measured:
    with wire() as w:
        delayed = w.through(Impairment(delay=Duration(0.02)), 50, every=0.003)
        spread = {name: _delays(w, name) for name in get_args(Distribution)}
        return Measured(
            delayed=delayed,
            spread=spread,
            correlated={name: _befell(w, name) for name in ("loss", "duplicate", "reorder", "corrupt")},
            lost=MANY - len(w.through(Impairment(loss=Share(0.1)), MANY)),
            bursty=_losses(w, BURSTY, 3000),
            lost_in_bad=sum(_losses(w, GilbertElliott(p=Share(1), r=Share(0), lost_in_bad=Share(0.6)), SOME)),
            lost_in_good=sum(_losses(w, GilbertElliott(p=Share(0), lost_in_good=Share(0.3)), SOME)),
            copies=Counter(a.number for a in w.through(Impairment(duplicate=Share(0.1)), MANY)),
            reordered=_reordered(w),
            frames=_frames(w, Impairment(corrupt=Share(0.1)), MANY),
            limited=_crowd(w, limit=10),
            unlimited=_crowd(w, limit=0),
            slow=_slow(),
            changed=_changed(w),
            seeded=_seeded(w),
        )


def _delays(w: Wire, distribution: Distribution) -> list[float]:
    impairment = Impairment(delay=Duration(MEAN), jitter=Duration(JITTER), distribution=distribution)
    return [arrival.delay for arrival in sorted(w.through(impairment, MANY))]


def _losses(w: Wire, model: GilbertElliott, count: int) -> list[bool]:
    arrived = {arrival.number for arrival in w.through(Impairment(loss_model=model), count)}
    return [number not in arrived for number in range(count)]


def _reordered(w: Wire) -> Reordered:
    before = w.link.does(w.b).overtaken
    some = w.through(Impairment(delay=Duration(0.05), reorder=Share(0.25)), MANY)
    overtaken = w.link.does(w.b).overtaken - before
    spaced = w.through(Impairment(delay=Duration(0.05), reorder=Share(1), gap=5), 50)
    return Reordered(_at_once(some), overtaken, _at_once(spaced))


def _at_once(arrivals: list[Arrival]) -> set[int]:
    return {arrival.number for arrival in arrivals if arrival.delay < EXACT}


def _frames(w: Wire, impairment: Impairment, count: int) -> list[bytes]:
    w.impair(impairment)
    w.send_frames(FRAME, count)
    return [frame for frame, _ in w.frames()]


def _befell(w: Wire, name: str) -> list[bool]:
    accident = {name: Share(0.5), f"{name}_correlation": Share(0.75)}
    impairment = Impairment(delay=Duration(0.05), **accident)  # type: ignore[arg-type]
    if name == "corrupt":
        return [frame != FRAME for frame in _frames(w, impairment, SOME)]
    arrivals = w.through(impairment, SOME)
    copies, early = Counter(a.number for a in arrivals), _at_once(arrivals)
    tells: dict[str, Callable[[int], bool]] = {
        "loss": lambda number: copies[number] == 0,
        "duplicate": lambda number: copies[number] == 2,
        "reorder": lambda number: number in early,
    }
    return [tells[name](number) for number in range(SOME)]


def _crowd(w: Wire, limit: int) -> Crowd:
    w.impair(Impairment(delay=EVENTUALLY, limit=limit))
    before = w.link.does(w.b)
    w.send(MANY)
    during = w.link.does(w.b)
    return Crowd(during.queued, during.dropped - before.dropped, len(w.arrivals()))


def _slow() -> Slow:
    with wire() as fresh:
        arrivals = fresh.through(Impairment(rate=BitRate(1e6)), 200, size=1250, every=0.005)
        return Slow(arrivals, fresh.link.does(fresh.b))


def _changed(w: Wire) -> tuple[list[int], list[Arrival]]:
    """Send a burst under each impairment in turn, with earlier ones in flight. Count those in flight each time."""
    queued = []
    for first, impairment in enumerate(CHANGES):
        w.impair(impairment)
        w.send(BURST, size=80, first=first * BURST)
        queued.append(w.link.does(w.b).queued)
    return queued, w.arrivals()


CHANGES = (
    Impairment(delay=EVENTUALLY),
    Impairment(delay=SOON, jitter=Duration(0.1), distribution="normal"),
    Impairment(delay=SOON, rate=BitRate(64_000)),
    NONE,
    Impairment(delay=SOON, jitter=Duration(0.1)),
    Impairment(rate=BitRate(32_000)),
    NONE,
    Impairment(delay=Duration(0.01), loss=Share(0.5)),
)


def _seeded(w: Wire) -> list[tuple[set[int], int | None, list[str]]]:
    """Return the arrivals under the same seed, twice, and under another; the seed in force; the differences."""
    found = []
    for seed in (7, 7, 8):
        arrived = {a.number for a in w.through(Impairment(loss=Share(0.5), seed=seed), 100)}
        found.append((arrived, w.link.does(w.b).impairment.seed, w.link.differences(w.b)))
    return found


@pytest.fixture(scope="module")
def measured() -> Measured:
    return measure()


def test_a_delay_is_exact(measured: Measured) -> None:
    assert [arrival.number for arrival in measured.delayed] == list(range(50))
    assert [arrival.delay for arrival in measured.delayed] == pytest.approx([0.02] * 50, abs=EXACT)


def uniform(deviations: float) -> float:
    return min(max((deviations + 1) / 2, 0), 1)


def pareto(deviations: float) -> float:
    """Return the share below ``deviations`` for a Pareto of shape 3, with a mean of 0 and a deviation of 1."""
    return 1 - (0.75 * deviations + 1.5) ** -3 if deviations > -2 / 3 else 0.0


def paretonormal(deviations: float) -> float:
    """Return the share below ``deviations`` for a quarter of a normal value plus three quarters of a Pareto value."""
    low, high = 0.0, 1.0
    while high - low > 1e-6:
        share = (low + high) / 2
        value = statistics.NormalDist().inv_cdf(share) / 4 + ((1 - share) ** (-1 / 3) - 1.5)
        low, high = (share, high) if value < deviations else (low, share)
    return low


@pytest.mark.parametrize(
    ("name", "distribution"),
    [
        ("uniform", uniform),
        ("normal", statistics.NormalDist().cdf),
        ("pareto", pareto),
        ("paretonormal", paretonormal),
    ],
)
def test_delays_are_spread_as_asked(
    name: Distribution, distribution: Callable[[float], float], measured: Measured
) -> None:
    """The nearest two of the four are 0.14 apart. The bound is half of that."""
    deviations = [(delay - MEAN) / JITTER for delay in measured.spread[name]]
    assert len(deviations) == MANY
    # A table of 4096 numbers itself deviates by up to 4/16384 from its distribution.
    assert chance.distance(deviations, distribution) < chance.farthest(MANY) + 4 / 16384


def test_losses_are_as_many_as_asked(measured: Measured) -> None:
    assert measured.lost in chance.binomial(MANY, 0.1)


def runs(bursty: Sequence[bool], lost: bool) -> Iterator[int]:
    return (len(list(run)) for was_lost, run in groupby(bursty) if was_lost == lost)


@pytest.mark.parametrize(("lost", "share"), [(True, BURSTY.recovery), (False, BURSTY.p)], ids=["bursts", "gaps"])
def test_losses_come_in_bursts_as_long_and_as_far_apart_as_asked(lost: bool, share: float, measured: Measured) -> None:
    lengths = list(runs(measured.bursty, lost))[:BURSTS]
    assert len(lengths) == BURSTS
    assert sum(lengths) in chance.waits(BURSTS, share)


def test_not_all_is_lost_in_bad_times_nor_nothing_in_good_ones(measured: Measured) -> None:
    # The first packet still meets the good link.
    assert measured.lost_in_bad in chance.binomial(SOME - 1, 0.6)
    assert measured.lost_in_good in chance.binomial(SOME, 0.3)


def test_duplicates_are_as_many_as_asked(measured: Measured) -> None:
    assert set(measured.copies) == set(range(MANY))
    assert set(measured.copies.values()) == {1, 2}
    assert measured.copies.total() - MANY in chance.binomial(MANY, 0.1)


def test_packets_sent_at_once_are_as_many_as_asked(measured: Measured) -> None:
    assert len(measured.reordered.early) in chance.binomial(MANY, 0.25)
    assert measured.reordered.counted == len(measured.reordered.early)


def test_with_a_gap_only_every_so_many_may_be_early(measured: Measured) -> None:
    assert measured.reordered.spaced == set(range(4, 50, 5))


def test_one_bit_of_as_many_packets_as_asked_is_turned_over(measured: Measured) -> None:
    assert len(measured.frames) == MANY
    flipped = [_differing_bits(frame) for frame in measured.frames if frame != FRAME]
    assert set(flipped) == {1}
    assert len(flipped) in chance.binomial(MANY, 0.1)


def _differing_bits(frame: bytes) -> int:
    return (int.from_bytes(frame) ^ int.from_bytes(FRAME)).bit_count()


@pytest.mark.parametrize("name", ["loss", "duplicate", "reorder", "corrupt"])
def test_correlated_accidents_hang_together(name: str, measured: Measured) -> None:
    """A packet then shares the fate of the previous one more often than independent packets would."""
    alike = sum(one == other for one, other in pairwise(measured.correlated[name]))
    assert alike > chance.binomial(SOME - 1, 0.5)[-1]


def test_what_is_beyond_the_limit_is_lost_and_counted(measured: Measured) -> None:
    assert measured.limited == Crowd(queued=10, dropped=MANY - 10, arrived=10)


def test_without_a_limit_nothing_is_lost(measured: Measured) -> None:
    """The kernel's own limit would be 1000 packets."""
    assert measured.unlimited == Crowd(queued=MANY, dropped=0, arrived=MANY)


def test_a_rate_is_exact_once_its_bucket_is_empty(measured: Measured) -> None:
    tail = measured.slow.arrivals[-50:]
    spacing = (tail[-1].at - tail[0].at) / (len(tail) - 1)
    assert spacing == pytest.approx(1250 * 8 / 1e6, abs=EXACT)


def test_packets_are_dropped_and_counted_by_the_rate(measured: Measured) -> None:
    arrivals, effect = measured.slow
    assert effect.sent == len(arrivals)
    assert effect.sent + effect.dropped == 200


def test_a_change_under_way_loses_nothing(measured: Measured) -> None:
    queued, arrivals = measured.changed
    last = len(CHANGES) - 1
    assert {a.number for a in arrivals if a.number < last * BURST} == set(range(last * BURST))
    assert queued[0] == BURST
    grew = [later > before for before, later in pairwise(queued)]
    assert grew == [True, True, False, True, True, False, True]


def test_a_packet_keeps_the_moment_it_was_to_leave(measured: Measured) -> None:
    _, arrivals = measured.changed
    assert _delays_under(0, arrivals) == pytest.approx([EVENTUALLY] * BURST, abs=EXACT)
    assert _delays_under(3, arrivals) == pytest.approx([0] * BURST, abs=EXACT)


def _delays_under(change: int, arrivals: list[Arrival]) -> list[float]:
    return [a.delay for a in arrivals if a.number // BURST == change]


def test_jitter_is_even_again_after_another_distribution(measured: Measured) -> None:
    """The kernel keeps a table until it is replaced. With the normal one, a third would exceed the jitter."""
    _, arrivals = measured.changed
    assert all(0.4 - EXACT <= delay <= 0.6 + EXACT for delay in _delays_under(4, arrivals))


def test_a_seed_hits_the_same_packets_again_or_is_said_to_be_ignored(measured: Measured) -> None:
    """Kernels before 6.6 take no seed."""
    (one, first, told), (again, second, _), (other, third, _) = measured.seeded
    if first is None:
        assert told == ["seed: asked 7, in force none"]
    else:
        assert (first, second, third) == (7, 7, 8)
        assert told == []
        assert one == again != other
