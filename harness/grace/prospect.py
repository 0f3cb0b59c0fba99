"""Results that a sweep can have at best, known before it starts, and the time that it will take. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from halfopen.grace import draws
from halfopen.grace.mix import Mix
from halfopen.grace.rates import Rate, percent, trials_needed
from halfopen.grace.recommendation import MOST_UNNOTICED
from halfopen.grace.sweep import Batch, Draw

#: A proposed number of runs is rounded up to a multiple of this.
ROUND = 100
#: Share of sessions to add to a proposed number of runs, since a few prove nothing, and of dead clients, since the
#: kernel announces some deaths. Both are about those of the default mix.
_UNPROVED, _ANNOUNCED = 0.02, 0.1
#: Results from which the duration of a sweep is estimated, if several batches run at a time.
_RESULTS = 2


@dataclass(frozen=True, slots=True)
class Prospect:
    """The best evidence that a number of sessions can give."""

    live: int
    dead: int
    most: float
    """The highest share of live sessions that a recommended grace may reap."""
    enough: int | None
    """Number of runs with which a grace can be recommended; None if there is none."""

    @property
    def best(self) -> float:
        """Upper bound on the share of false reaps if no live session is reaped."""
        return Rate(0, self.live).high

    @property
    def affordable(self) -> int | None:
        """The most false reaps with which a grace is recommended; None if even none is too many."""
        if self.best >= self.most:
            return None
        # Wilson's bound is above the share itself, so the search ends.
        return next(times for times in range(self.live + 1) if Rate(times + 1, self.live).high >= self.most)

    @property
    def shows_noticing(self) -> bool:
        """True if so many dead clients can show that a detector notices them."""
        return Rate(0, self.dead).high <= MOST_UNNOTICED

    @property
    def can_recommend(self) -> bool:
        """True if some outcome leads to a recommendation."""
        return self.affordable is not None and self.shows_noticing

    @property
    def reach(self) -> str:
        """A sentence on the interval that so many live sessions can reach."""
        shown = f"at most {percent(self.best)} false reaps"
        return f"at best none of {self.live:,} live sessions is reaped, which proves {shown}"

    def sentences(self) -> list[str]:
        """Describe what can be known after the sweep."""
        if self.can_recommend:
            upto = f"at most {self.affordable:,} are" if self.affordable else "none is"
            return [self.reach, f"a grace with which {upto} reaped is recommended (at most {percent(self.most)})"]
        return [self.reach, f"no recommendation can come of this: {self._too_little}; {self.remedy}"]

    @property
    def _too_little(self) -> str:
        if self.affordable is None:
            return f"too few to recommend a grace with at most {percent(self.most)}"
        return f"the {self.dead} dead clients are too few to show that a detector notices them"

    @property
    def remedy(self) -> str:
        """The options with which a grace can be recommended."""
        ways = [] if self.enough is None else [f"--runs {self.enough}"]
        if self.shows_noticing:
            ways.append(f"--max-false-reaps {(math.floor(self.best * 1000) + 1) / 10:g}%")
        return f"{', or '.join(ways)} would be enough" if ways else "no number of runs is enough"


def prospect(drawn: Sequence[Draw], mix: Mix, most: float) -> Prospect:
    """Return the prospect of these draws from a mix."""
    parts = [draw.part for draw in drawn]
    return Prospect(parts.count("mix"), parts.count("dead"), most, runs_enough(mix, most))


def runs_enough(mix: Mix, most: float) -> int | None:
    """Return the number of runs with which a grace can be recommended; None if there is none."""
    if not mix.dead_runs:
        return None
    live, dead = trials_needed(0, most), trials_needed(0, MOST_UNNOTICED)
    runs = max(live / (1 - mix.dead_runs), dead / (1 - _ANNOUNCED) / mix.dead_runs) * (1 + _UNPROVED)
    rounded = math.ceil(runs / ROUND) * ROUND
    return rounded if rounded <= draws.MOST_RUNS else None


class Pace:
    """Estimates the duration of a sweep once, from the first results on this machine."""

    def __init__(self, batches: Sequence[Batch], at_once: int) -> None:
        """``batches`` are those to run, ``at_once`` of them at a time."""
        self._sizes = {batch.number: len(batch.draws) for batch in batches}
        self._at_once = max(1, min(at_once, len(self._sizes)))
        self._done: set[int] = set()

    def add(self, number: int, seconds: float) -> tuple[float, int] | None:
        """Add the result of a batch, after so many seconds of the sweep.

        Return the estimated seconds of the whole and the number of sessions that they are estimated from, once; None
        before and after that, and if nothing is left to do.
        """
        self._done.add(number)
        # The first of several at a time is the quickest of them.
        if len(self._done) != min(_RESULTS, self._at_once) or len(self._done) == len(self._sizes):
            return None
        done = sum(self._sizes[number] for number in self._done)
        for_each = seconds * len(self._done) / done
        return max(seconds, for_each * sum(self._sizes.values()) / self._at_once), done


def minutes(seconds: float) -> str:
    """Return a rough duration: ``"40 s"``, ``"12 min"``, ``"3 h"``."""
    if seconds < 100:
        return f"{max(10, round(seconds, -1)):.0f} s"
    return f"{round(seconds / 60)} min" if seconds < 100 * 60 else f"{round(seconds / 3600)} h"
