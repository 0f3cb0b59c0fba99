"""Explanations of the words in a sweep's tables, limited to those that occur. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence

from halfopen.grace.estimates import Estimates, GracePoint, frontiers, longest_stalls
from halfopen.grace.recommendation import smallest

#: Explanations, and whether their words occur in the tables.
_LEGEND: tuple[tuple[str, Callable[[Sequence[GracePoint]], bool]], ...] = (
    (
        "false: false reaps of live sessions, with Wilson's interval",
        lambda points: any(one.false_reaps.trials for one in points),
    ),
    (
        "survives: the longest outage that was always survived (+: none was too long)",
        lambda points: any(one.survived is not None and one.survived.longest is not None for one in points),
    ),
    (
        "p50, p99: from the onset of a dead client's stall to its reap",
        lambda points: any(one.from_onset.seconds for one in points),
    ),
    (
        "missed: dead clients that nobody had reaped by the end of the look",
        lambda points: any(one.missed.trials for one in points),
    ),
    (
        "seat: for how long the dead hold theirs, also those whose kernel tells of it at once",
        lambda points: any(one.cost for one in points),
    ),
    (
        "13s ✗14s: 13s were always survived, 14s were not",
        lambda points: (
            len(frontiers(points)) == 1 and any(one.reaped is not None for point in points for one in point.survivals)
        ),
    ),
    (
        "stalls: how long at most nothing is acknowledged after an outage of that length",
        lambda points: len(frontiers(points)) == 1 and any(step.stalls for step in longest_stalls(points)),
    ),
    ("?: sessions that prove nothing", lambda points: any(one.unproved for one in points)),
)
_WIDTH = 79


def lines(found: Estimates, most: float, *, wide: bool) -> list[str]:
    """Return the explanations that apply, in lines that fit 80 columns."""
    parts = [text for text, is_there in _LEGEND if is_there(found.points)]
    if wide and any(point.outside for point in found.points):
        parts.append("out: reaps out of grace .. grace + poll")
    if any(smallest(curve, most) for curve in frontiers(found.points).values()):
        parts.append("*: the smallest grace that is good enough")
    return textwrap.wrap("; ".join(parts), _WIDTH, break_on_hyphens=False, break_long_words=False)
