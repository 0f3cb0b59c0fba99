"""Estimates for each candidate: false reaps, latency, survived outages, and the cost of dead clients. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from halfopen.grace import outages
from halfopen.grace.confirmation import DATED_WITHIN, Confirmation, confirmations
from halfopen.grace.outages import OutageStep, Survival
from halfopen.grace.rates import Rate
from halfopen.grace.sweep import Candidate, Draw, Part, Sweep, Trial, TrialOutcome
from halfopen.netns.units import show_duration

CurveKey = tuple[str | None, float]
"""A detector, None for a server's own, and its poll in seconds."""

_KNOWN: tuple[TrialOutcome, ...] = ("reaped", "kept")


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds that a dead client holds its seat, from its fault to the reap."""

    seconds: float
    at_least: bool
    """True if some were still held when observation ended. The kernel would have given those up much later."""


@dataclass(frozen=True, slots=True)
class CauseCounts:
    """The sessions of one condition: live ones, or dead clients."""

    name: str
    wrong: Rate
    """False reaps of live sessions, or missed dead clients."""
    closed: int
    unproved: int
    from_onset: tuple[float, ...]
    """As in GracePoint; only of interest for dead clients, as is the cost."""
    cost: Cost | None


@dataclass(frozen=True, slots=True)
class GracePoint:
    """The estimates for one candidate: a point of the curve."""

    candidate: Candidate
    false_reaps: Rate
    """False reaps among the mix's live sessions, without those that are unproved or ended by themselves."""
    causes: tuple[CauseCounts, ...]
    missed: Rate
    """Dead clients that were not reaped while observed."""
    unnoticed: Rate
    """Missed deaths among clients whose kernel sends no FIN or RST. Shows if a detector works at all."""
    deaths: tuple[CauseCounts, ...]
    from_onset: tuple[float, ...]
    """Seconds from the onset of the stall to the reap, ascending. Deaths without a stall before them are left out."""
    from_fault: tuple[float, ...]
    """The same from the fault."""
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
        return sum(cause.unproved for cause in (*self.causes, *self.deaths))


@dataclass(frozen=True, slots=True)
class Estimates:
    """The results of a sweep so far."""

    points: tuple[GracePoint, ...]
    confirmations: tuple[Confirmation, ...]
    tried: int
    """Number of draws that were tried with every candidate."""
    planned: int


def estimate(sweep: Sweep, trials: Sequence[Trial]) -> Estimates:
    """Return the estimates so far. Reading an interval raises InputError if scipy is missing."""
    replayed = sweep.replayed
    counted: list[dict[int, Trial]] = [{} for _ in sweep.candidates]
    for trial in trials:
        # The real run of a replayed candidate only confirms the replay.
        if not (trial.real and trial.candidate in replayed):
            counted[trial.candidate][trial.draw] = trial
    points = tuple(map(_point, sweep.candidates, [sweep.draws] * len(counted), counted))
    complete = set.intersection(*map(set, counted))
    return Estimates(points, confirmations(sweep, trials), tried=len(complete), planned=len(sweep.draws))


def curves(points: Iterable[GracePoint]) -> dict[CurveKey, tuple[GracePoint, ...]]:
    """Return the points of each detector and poll by grace. Each group is one curve, in the order of the candidates."""
    grouped: dict[CurveKey, list[GracePoint]] = {}
    for point in points:
        grouped.setdefault((point.candidate.detector, point.candidate.poll), []).append(point)
    return {key: tuple(sorted(curve, key=lambda point: point.candidate.grace)) for key, curve in grouped.items()}


def curve_title(detector: str | None, poll: float) -> str:
    """Return a curve's name: ``"bytes-acked, poll 2s"``. A server with a detector of its own has no poll of ours."""
    return "the server's own detector" if detector is None else f"{detector}, poll {show_duration(poll)}"


def longest_stalls(points: Iterable[GracePoint]) -> tuple[OutageStep, ...]:
    """Return the staircase of the candidate with the longest stalls, because a reap cuts a stall short."""
    return max((point.steps for point in points), key=lambda steps: sum(sum(step.stalls) for step in steps), default=())


def quantile(ascending: Sequence[float], percent: int) -> float | None:
    """Interpolate linearly between the two nearest ranks (Hyndman and Fan's type 7, as numpy); None if empty."""
    if len(ascending) < 2:
        return ascending[0] if ascending else None
    return statistics.quantiles(ascending, n=100, method="inclusive")[percent - 1]


def _point(candidate: Candidate, draws: Sequence[Draw], trials: Mapping[int, Trial]) -> GracePoint:
    alive, dead = _by_cause(draws, trials, "mix"), _by_cause(draws, trials, "dead")
    all_dead = [trial for group in dead.values() for trial in group]
    steps = outages.steps(draws, trials)
    return GracePoint(
        candidate,
        false_reaps=_rate((trial for group in alive.values() for trial in group), "reaped"),
        causes=tuple(_counts(name, group, "reaped") for name, group in alive.items()),
        missed=_rate(all_dead, "kept"),
        unnoticed=_rate((trial for trial in all_dead if trial.outcome == "kept" or trial.onset is not None), "kept"),
        deaths=tuple(_counts(name, group, "kept") for name, group in dead.items()),
        from_onset=_latencies(all_dead, "onset"),
        from_fault=_latencies(all_dead, "fault_at"),
        outside=sum(_is_outside(trial, candidate) for trial in all_dead),
        cost=_cost(all_dead),
        steps=steps,
        survivals=outages.survivals(steps),
    )


def _by_cause(draws: Iterable[Draw], trials: Mapping[int, Trial], part: Part) -> dict[str, list[Trial]]:
    """Group a part's results by cause, in the order of names. Causes without results so far are included."""
    draws = [draw for draw in draws if draw.part == part]
    grouped: dict[str, list[Trial]] = {cause: [] for cause in sorted({draw.cause for draw in draws})}
    for draw in draws:
        if draw.number in trials:
            grouped[draw.cause].append(trials[draw.number])
    return grouped


def _rate(trials: Iterable[Trial], outcome: TrialOutcome) -> Rate:
    known = [trial.outcome for trial in trials if trial.outcome in _KNOWN]
    return Rate(known.count(outcome), len(known))


def _counts(name: str, trials: Sequence[Trial], wrong: TrialOutcome) -> CauseCounts:
    outcomes = [trial.outcome for trial in trials]
    return CauseCounts(
        name,
        wrong=_rate(trials, wrong),
        closed=outcomes.count("closed"),
        unproved=outcomes.count("unproved"),
        from_onset=_latencies(trials, "onset"),
        cost=_cost(trials),
    )


def _cost(dead: Iterable[Trial]) -> Cost | None:
    """Mean over the clients whose time is known."""
    seconds, at_least = [], False
    for trial in dead:
        if trial.fault_at is not None and trial.outcome in _KNOWN:
            end = trial.duration if trial.reaped_at is None else trial.reaped_at
            seconds.append(max(0.0, end - trial.fault_at))
            at_least |= trial.reaped_at is None
    return Cost(sum(seconds) / len(seconds), at_least) if seconds else None


def _is_outside(trial: Trial, candidate: Candidate) -> bool:
    """True if a dead client was reaped within the grace of its last sign of life, or later than grace + poll."""
    if trial.reaped_at is None or trial.onset is None or trial.outcome != "reaped":
        return False
    heard = trial.onset if trial.heard_at is None else trial.heard_at
    early = trial.reaped_at - heard < candidate.grace - DATED_WITHIN
    return early or trial.reaped_at - trial.onset > candidate.grace + candidate.poll + DATED_WITHIN


def _latencies(dead: Iterable[Trial], since: Literal["onset", "fault_at"]) -> tuple[float, ...]:
    """Latencies of the reaped clients for which the starting moment is known, ascending."""
    reaps = ((getattr(trial, since), trial.reaped_at) for trial in dead if trial.outcome == "reaped")
    return tuple(sorted(end - start for start, end in reaps if start is not None and end is not None))
