"""Estimates for each candidate: false reaps, latency, survived outages, and the cost of dead clients.

Pure. The order of sessions makes no difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from halfopen.grace import curves, outages, plan
from halfopen.grace.confirmation import DATED_WITHIN, Confirmation, confirmations
from halfopen.grace.latencies import Latencies
from halfopen.grace.outages import OutageStep, Survival
from halfopen.grace.rates import Rate
from halfopen.grace.trials import Came, Candidate, Draw, Part, Sweep, Trial


@dataclass(frozen=True, slots=True)
class Cause:
    """The live sessions of one condition."""

    name: str
    false_reaps: Rate
    closed: int
    unproved: int


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds that a dead client holds its seat, from its fault to the reap."""

    seconds: float
    at_least: bool
    """True if some were still held when observation ended. The kernel would have given those up much later."""


@dataclass(frozen=True, slots=True)
class DeathCounts:
    """The dead clients of one kind."""

    name: str
    missed: Rate
    closed: int
    unproved: int
    from_onset: Latencies
    cost: Cost | None


@dataclass(frozen=True, slots=True)
class GracePoint:
    """The estimates for one candidate: a point of the curve."""

    candidate: Candidate
    false_reaps: Rate
    """False reaps among the mix's live sessions, without those that are unproved or ended by themselves."""
    causes: tuple[Cause, ...]
    missed: Rate
    """Dead clients that were not reaped while observed."""
    unnoticed: Rate
    """Missed deaths among clients whose kernel sends no FIN or RST. Shows if a detector works at all."""
    deaths: tuple[DeathCounts, ...]
    from_onset: Latencies
    """Seconds from the onset of the stall to the reap. Deaths without a stall before them are left out."""
    from_fault: Latencies
    outside: int
    """Number of reaps in from_onset outside of grace .. grace + poll.

    Early ones count from the last sign of life, late ones from the onset.
    """
    cost: Cost | None
    """Mean over dead clients, whose kinds the mix has weighted; None if none was tried."""
    steps: tuple[OutageStep, ...]
    survivals: tuple[Survival, ...]

    @property
    def survived(self) -> Survival | None:
        """Survived outages over all round trips; None without a staircase."""
        return self.survivals[-1] if self.survivals else None

    @property
    def unproved(self) -> int:
        """Number of sessions that prove nothing."""
        return sum(one.unproved for one in self.causes) + sum(one.unproved for one in self.deaths)


@dataclass(frozen=True, slots=True)
class Estimates:
    """The results of a sweep so far."""

    points: tuple[GracePoint, ...]
    confirmations: tuple[Confirmation, ...]
    tried: int
    """Number of draws that were tried with every candidate."""
    planned: int


def estimate(sweep: Sweep, tried: Sequence[Trial]) -> Estimates:
    """Return the estimates so far. Reading an interval raises InputError if scipy is missing."""
    replayed = {number for number in range(len(sweep.candidates)) if plan.is_replayed(sweep, number)}
    # The real run of a replayed candidate only confirms the replay.
    best = _by_candidate(one for one in tried if not (one.really and one.candidate in replayed))
    points = tuple(
        _point(candidate, sweep.draws, best.get(number, {})) for number, candidate in enumerate(sweep.candidates)
    )
    seen = set.intersection(*(set(best.get(number, ())) for number in range(len(sweep.candidates))))
    return Estimates(points, confirmations(sweep, tried), tried=len(seen), planned=len(sweep.draws))


def frontiers(points: Iterable[GracePoint]) -> dict[curves.Key, tuple[GracePoint, ...]]:
    """Return the points of each detector and poll by grace. Each group is one curve."""
    return curves.grouped(points, lambda one: (one.candidate.detector, one.candidate.poll, one.candidate.grace))


def longest_stalls(points: Iterable[GracePoint]) -> tuple[OutageStep, ...]:
    """Return the staircase of the candidate with the longest stalls, because a reap cuts a stall short."""
    its = (point.steps for point in points)
    return max(its, key=lambda steps: sum(sum(step.stalls) for step in steps), default=())


def _by_candidate(tried: Iterable[Trial]) -> dict[int, dict[int, Trial]]:
    """Group by candidate, then by draw."""
    found: dict[int, dict[int, Trial]] = {}
    for one in tried:
        found.setdefault(one.candidate, {})[one.draw] = one
    return found


def _point(candidate: Candidate, draws: Sequence[Draw], tried: Mapping[int, Trial]) -> GracePoint:
    alive, dead = _by_cause(draws, tried, "mix"), _by_cause(draws, tried, "dead")
    deaths = tuple(_death(name, its) for name, its in dead.items())
    everybody = [one for its in dead.values() for one in its]
    steps = outages.steps(draws, tried)
    return GracePoint(
        candidate,
        false_reaps=_share((one for its in alive.values() for one in its), "reaped"),
        causes=tuple(_cause(name, its) for name, its in alive.items()),
        missed=_share(everybody, "kept"),
        unnoticed=_share((one for one in everybody if one.came == "kept" or one.onset is not None), "kept"),
        deaths=deaths,
        from_onset=_latencies(everybody, "onset"),
        from_fault=_latencies(everybody, "fault_at"),
        outside=sum(_is_outside(one, candidate) for one in everybody),
        cost=_cost(everybody),
        steps=steps,
        survivals=outages.survivals(steps),
    )


def _by_cause(draws: Iterable[Draw], tried: Mapping[int, Trial], part: Part) -> dict[str, list[Trial]]:
    """Group a part's results by cause, in the order of names. Causes without results so far are included."""
    its = [draw for draw in draws if draw.part == part]
    found: dict[str, list[Trial]] = {cause: [] for cause in sorted({draw.cause for draw in its})}
    for draw in its:
        if draw.number in tried:
            found[draw.cause].append(tried[draw.number])
    return found


def _share(tried: Iterable[Trial], came: Came) -> Rate:
    words: list[Came] = [one.came for one in tried if one.came in {"reaped", "kept"}]
    return Rate(words.count(came), len(words))


def _count(tried: Iterable[Trial], came: Came) -> int:
    return sum(one.came == came for one in tried)


def _cause(name: str, tried: Sequence[Trial]) -> Cause:
    return Cause(name, _share(tried, "reaped"), _count(tried, "closed"), _count(tried, "unproved"))


def _death(name: str, tried: Sequence[Trial]) -> DeathCounts:
    return DeathCounts(
        name,
        _share(tried, "kept"),
        _count(tried, "closed"),
        _count(tried, "unproved"),
        _latencies(tried, "onset"),
        _cost(tried),
    )


def _held(one: Trial) -> Cost | None:
    """Return how long a dead client held its seat; None if unknown."""
    if one.fault_at is None or one.came not in {"reaped", "kept"}:
        return None
    until = one.duration if one.reaped_at is None else one.reaped_at
    return Cost(max(0.0, until - one.fault_at), at_least=one.reaped_at is None)


def _cost(dead: Iterable[Trial]) -> Cost | None:
    """Mean of the known costs."""
    costs = [one for one in map(_held, dead) if one is not None]
    if not costs:
        return None
    return Cost(sum(one.seconds for one in costs) / len(costs), any(one.at_least for one in costs))


def _is_outside(one: Trial, candidate: Candidate) -> bool:
    """True if a dead client was reaped within the grace of its last sign of life, or later than grace + poll."""
    if one.reaped_at is None or one.onset is None or one.came != "reaped":
        return False
    heard = one.onset if one.heard_at is None else one.heard_at
    early = one.reaped_at - heard < candidate.grace - DATED_WITHIN
    return early or one.reaped_at - one.onset > candidate.grace + candidate.poll + DATED_WITHIN


def _latencies(dead: Iterable[Trial], since: Literal["onset", "fault_at"]) -> Latencies:
    """Latencies of the reaped clients for which the starting moment is known."""
    reaps = ((getattr(one, since), one.reaped_at) for one in dead if one.came == "reaped")
    return Latencies.of(at - begun for begun, at in reaps if begun is not None and at is not None)
