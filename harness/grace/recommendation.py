"""Recommend the smallest grace with proof that its false reaps are few enough, and say why. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from halfopen.grace.confirmation import disagreements
from halfopen.grace.estimates import Cost, Estimates, GracePoint, frontiers
from halfopen.grace.number_format import count, percent
from halfopen.grace.rates import Rate, trials_needed
from halfopen.netns.units import show_duration
from halfopen.pod.watchdog import DEFAULT_GRACE

#: The default limit: one live session in a thousand of the mix.
MOST_FALSE_REAPS = 0.001
#: Share of silent dead clients, whose kernel sends nothing, that a recommended detector may miss.
MOST_UNNOTICED = 0.1
#: The incident's grace in seconds, as a reference for others.
INCIDENTS = DEFAULT_GRACE
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The recommended candidate, or none and the runs that are still needed."""

    point: GracePoint | None
    why: str
    """One or two sentences."""
    more_runs: int | None = None
    """Without a point: live sessions still needed, if none of them is reaped. None if more do not help."""


def recommend(found: Estimates, most: float = MOST_FALSE_REAPS) -> Recommendation:
    """Recommend the smallest grace whose upper bound on false reaps is below ``most``, of the best detector."""
    if wrong := disagreements(found.confirmations):
        runs = "a real run disagrees" if len(wrong) == 1 else f"{len(wrong)} real runs disagree"
        return Recommendation(
            None, f"{runs} with what its replay foretold: nothing is recommended of what was replayed"
        )
    curves = frontiers(found.points).values()
    able = [point for curve in curves if (point := smallest(curve, most)) is not None]
    if not able:
        return _none(found.points, most)
    best = min(able, key=_preference)
    several = len(curves) > 1
    return Recommendation(best, " ".join(_reasons(best, found.points, most, named=several)))


def smallest(curve: Sequence[GracePoint], most: float = MOST_FALSE_REAPS) -> GracePoint | None:
    """Return the smallest grace of a curve whose upper bound on false reaps is below ``most``; None without any."""
    return next((point for point in curve if _notices(point) and point.false_reaps.high < most), None)


def _notices(point: GracePoint) -> bool:
    """True if it is proved to detect dead clients at all. A detector that never reaps has no false reaps either."""
    return point.unnoticed.trials > 0 and point.unnoticed.high <= MOST_UNNOTICED


def _preference(point: GracePoint) -> tuple[float, float, float, str]:
    cost = math.inf if point.cost is None else point.cost.seconds
    return point.missed.share or 0.0, cost, point.candidate.grace, point.candidate.label


def _reasons(point: GracePoint, points: Sequence[GracePoint], most: float, *, named: bool) -> list[str]:
    who = point.candidate.label if named else f"grace {show_duration(point.candidate.grace)}"
    curve = frontiers(points)[point.candidate.detector, point.candidate.poll]
    shorter = [one for one in curve if one.candidate.grace < point.candidate.grace]
    than = (
        f"; with {show_duration(shorter[-1].candidate.grace)} it was {evidence(shorter[-1].false_reaps)}"
        if shorter
        else ""
    )
    reasons = [f"{who} is the smallest with at most {percent(most)} false reaps: {evidence(point.false_reaps)}{than}."]
    if point.missed.times:
        reasons.append(f"It missed {count(point.missed)} dead clients.")
    reasons += _against(point, curve)
    return reasons


def _against(point: GracePoint, curve: Sequence[GracePoint]) -> list[str]:
    """Describe its cost, compared with the incident's grace if that was tried with the same detector and poll."""
    if point.cost is None:
        return []
    holds = f"a dead session holds its seat for {_seat(point.cost)}"
    theirs = next((one for one in curve if one.candidate.grace == INCIDENTS), None)
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
    able = [point for point in points if point.unnoticed.trials and point.unnoticed.low <= MOST_UNNOTICED]
    if not able:
        return Recommendation(None, _no_detector(points))
    allowed = f"at most {percent(most)} false reaps"
    open_still = [point for point in able if point.false_reaps.low <= most]
    best = min(open_still or able, key=lambda one: (one.false_reaps.high, one.candidate.grace, one.candidate.label))
    rate, label = best.false_reaps, best.candidate.label
    if not open_still:
        return Recommendation(None, f"none that was tried has {allowed}: even {label} has {evidence(rate)}")
    if rate.high < most:
        return Recommendation(None, f"too little is known of dead clients: {label} {_unnoticed(best)}")
    more = trials_needed(rate.times, most) - rate.trials
    clean = "no more of all are" if rate.times else "none of them is"
    takes = f"it takes {more:,} more live sessions, if {clean} reaped"
    why = f"too little is known to recommend a grace with {allowed}: {label} has {evidence(rate)}; {takes}"
    return Recommendation(None, why, more)


def _no_detector(points: Sequence[GracePoint]) -> str:
    if not any(point.unnoticed.trials for point in points):
        return "no silent dead client was tried (one whose kernel tells nothing): nothing is known to notice any"
    best = min(points, key=lambda one: (one.unnoticed.low, one.candidate.grace, one.candidate.label))
    return f"nothing that was tried notices dead clients well enough: even {best.candidate.label} {_unnoticed(best)}"


def _unnoticed(point: GracePoint) -> str:
    rate = point.unnoticed
    return f"missed {count(rate)} silent ones, whose kernel tells nothing (at most {percent(rate.high)})"


def evidence(rate: Rate) -> str:
    """A rate with its bound: ``"3 of 4,000 live sessions reaped (0.075 %, at most 0.22 %)"``."""
    if not rate.trials:
        return "no live session tried"
    share = f"{percent(rate.share or 0.0)}, " if rate.times else ""
    return f"{count(rate)} live sessions reaped ({share}at most {percent(rate.high)})"


def per_million(rate: Rate) -> str:
    """The number in a million such sessions: ``"250"``, or ``"less than 960"`` if none was seen."""
    if not rate.times:
        return f"less than {math.ceil(rate.high * _MILLION):,}"
    return f"{round((rate.share or 0.0) * _MILLION):,}"


def _seat(cost: Cost) -> str:
    """Seat-seconds: ``"31.5 s"``, or ``"at least 120.0 s"`` if some are held until the kernel gives up."""
    return f"{'at least ' if cost.at_least else ''}{cost.seconds:.1f} s"
