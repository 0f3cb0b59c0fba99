"""Recommend the smallest grace with proof that its false reaps are few enough, and say why. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from halfopen.grace.confirmation import disagreements
from halfopen.grace.estimates import Cost, Estimates, GracePoint, curves
from halfopen.grace.rates import Rate, count, percent, trials_needed
from halfopen.netns.units import show_duration
from halfopen.pod.watchdog import DEFAULT_GRACE

#: The default limit: one live session in a thousand of the mix.
MOST_FALSE_REAPS = 0.001
#: Share of silent dead clients, whose kernel sends nothing, that a recommended detector may miss.
MOST_UNNOTICED = 0.1
#: The incident's grace in seconds, as a reference for others.
INCIDENTS = DEFAULT_GRACE


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The recommended candidate, or none and the runs that are still needed."""

    point: GracePoint | None
    why: str
    """One or two sentences."""
    more_runs: int | None = None
    """Without a point: live sessions still needed, if none of them is reaped. None if more do not help."""


def recommend(estimates: Estimates, most: float = MOST_FALSE_REAPS) -> Recommendation:
    """Recommend the smallest grace whose upper bound on false reaps is below ``most``, of the best detector."""
    if wrong := disagreements(estimates.confirmations):
        runs = "a real run disagrees" if len(wrong) == 1 else f"{len(wrong)} real runs disagree"
        return Recommendation(None, f"{runs} with the replay's prediction, so no replayed result can be recommended")
    groups = curves(estimates.points).values()
    able = [point for curve in groups if (point := smallest(curve, most)) is not None]
    if not able:
        return _none(estimates.points, most)
    best = min(able, key=_preference)
    return Recommendation(best, " ".join(_reasons(best, estimates.points, most, named=len(groups) > 1)))


def smallest(curve: Sequence[GracePoint], most: float = MOST_FALSE_REAPS) -> GracePoint | None:
    """Return the smallest grace of a curve whose upper bound on false reaps is below ``most``; None without any.

    It must be proved to notice dead clients at all. A detector that never reaps has no false reaps either.
    """
    able = (point for point in curve if point.unnoticed.trials and point.unnoticed.high <= MOST_UNNOTICED)
    return next((point for point in able if point.false_reaps.high < most), None)


def _preference(point: GracePoint) -> tuple[float, float, float, str]:
    cost = math.inf if point.cost is None else point.cost.seconds
    return point.missed.share or 0.0, cost, point.candidate.grace, point.candidate.label


def _reasons(point: GracePoint, points: Sequence[GracePoint], most: float, *, named: bool) -> list[str]:
    who = point.candidate.label if named else f"grace {show_duration(point.candidate.grace)}"
    curve = curves(points)[point.candidate.detector, point.candidate.poll]
    reason = f"{who} is the smallest with at most {percent(most)} false reaps: {evidence(point.false_reaps)}"
    if number := curve.index(point):
        shorter = curve[number - 1]
        reason += f"; with {show_duration(shorter.candidate.grace)} it was {evidence(shorter.false_reaps)}"
    missed = [f"It missed {count(point.missed)} dead clients."] if point.missed.times else []
    return [f"{reason}.", *missed, *_against(point, curve)]


def _against(point: GracePoint, curve: Sequence[GracePoint]) -> list[str]:
    """Describe its cost, compared with the incident's grace if that was tried with the same detector and poll."""
    if point.cost is None:
        return []
    holds = f"a dead session holds its seat for {_seat(point.cost)}"
    theirs = next((point for point in curve if point.candidate.grace == INCIDENTS), None)
    if theirs is point:
        return [f"It is the incident's own: {holds}."]
    if theirs is None or theirs.cost is None:
        return [f"{holds.capitalize()}."]
    longer = point.cost.seconds - theirs.cost.seconds
    by = f"{abs(longer):.1f} s {'longer' if longer > 0 else 'less'}"
    if point.cost.at_least or theirs.cost.at_least:
        by = f"not {_seat(theirs.cost)}"
    reaped = f"{per_million(point.false_reaps)} of a million live ones are reaped"
    return [f"Against the incident's 30s {holds}, {by}, and {reaped}, not {per_million(theirs.false_reaps)}."]


def _none(points: Sequence[GracePoint], most: float) -> Recommendation:
    if not any(point.unnoticed.trials for point in points):
        return Recommendation(
            None,
            "no silent dead client was tried (one whose kernel sends nothing), so no detector is known to notice any",
        )
    able = [point for point in points if point.unnoticed.trials and point.unnoticed.low <= MOST_UNNOTICED]
    if not able:
        best = min(points, key=lambda point: (point.unnoticed.low, point.candidate.grace, point.candidate.label))
        return Recommendation(None, f"nothing that was tried notices dead clients well enough: even {_unnoticed(best)}")
    allowed = f"at most {percent(most)} false reaps"
    undecided = [point for point in able if point.false_reaps.low <= most]
    best = min(
        undecided or able, key=lambda point: (point.false_reaps.high, point.candidate.grace, point.candidate.label)
    )
    rate, label = best.false_reaps, best.candidate.label
    if not undecided:
        return Recommendation(None, f"none that was tried has {allowed}: even {label} has {evidence(rate)}")
    if rate.high < most:
        return Recommendation(None, f"too little is known of dead clients: {_unnoticed(best)}")
    more = trials_needed(rate.times, most) - rate.trials
    why = f"too little is known to recommend a grace with {allowed}: {label} has {evidence(rate)}"
    return Recommendation(None, f"{why}; it takes {more:,} more live sessions, if none of them is reaped", more)


def _unnoticed(point: GracePoint) -> str:
    rate = point.unnoticed
    missed = f"missed {count(rate)} silent ones, whose kernel sends nothing (at most {percent(rate.high)})"
    return f"{point.candidate.label} {missed}"


def evidence(rate: Rate) -> str:
    """A rate with its bound: ``"3 of 4,000 live sessions reaped (0.075 %, at most 0.22 %)"``."""
    if not rate.trials:
        return "no live session tried"
    share = f"{percent(rate.share or 0.0)}, " if rate.times else ""
    return f"{count(rate)} live sessions reaped ({share}at most {percent(rate.high)})"


def per_million(rate: Rate) -> str:
    """The number in a million such sessions: ``"250"``, or ``"less than 960"`` if none was seen."""
    if not rate.times:
        return f"less than {math.ceil(rate.high * 1_000_000):,}"
    return f"{round((rate.share or 0.0) * 1_000_000):,}"


def _seat(cost: Cost) -> str:
    """Seat-seconds: ``"31.5 s"``, or ``"at least 120.0 s"`` if some are held until the kernel gives up."""
    return f"{'at least ' if cost.at_least else ''}{cost.seconds:.1f} s"
