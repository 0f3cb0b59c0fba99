"""Made-up sweeps: results of sessions computed from the schedule of retransmissions and a seed."""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Iterator, Sequence
from typing import Any

from halfopen.grace import files
from halfopen.grace.estimates import Estimates, estimate
from halfopen.grace.files import SweepConditions
from halfopen.grace.sweep import Candidate, Draw, Sweep, Trial, TrialOutcome

GRACES = (5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0)
FAULT = 5.0
LENGTH = 150.0
HOW = SweepConditions("2026-01-01T00:00:00+00:00", 61.5, "6.12.117", "cubic")


def candidates(*detectors: str | None, graces: Sequence[float] = GRACES, poll: float = 2.0) -> tuple[Candidate, ...]:
    return tuple(Candidate(grace, poll, detector) for detector in detectors for grace in graces)


def draw(number: int, part: str, cause: str, **facts: float) -> Draw:
    return Draw(number, part, cause, f"{number:04}-{cause}", "", facts)  # type: ignore[arg-type]


def tried(
    number: int,
    candidate: int,
    outcome: TrialOutcome,
    *,
    stall: float = 0.0,
    onset: float | None = FAULT,
    reaped_at: float | None = None,
    real: bool = False,
    predicted: bool = False,
    predicted_at: float | None = None,
    alternatives: tuple[float | None, ...] = (),
    duration: float = LENGTH,
) -> Trial:
    return Trial(
        draw=number,
        candidate=candidate,
        real=real,
        outcome=outcome,
        why="",
        fault_at=FAULT,
        onset=onset,
        reaped_at=reaped_at,
        longest_stall=stall,
        duration=duration,
        predicted=predicted,
        predicted_at=predicted_at,
        alternatives=alternatives,
    )


def stall_of(outage: float, rtt: float, phase: float) -> float:
    """Return the seconds from the last acknowledgement to the first retransmission that is answered."""
    rto = max(0.2, 2 * rtt)
    reach = outage + phase * rto
    doublings = next(k for k in itertools.count(1) if rto * (2**k - 1) > reach)
    return float(rto * (2**doublings - 1) + rtt)


def came_of(one: Draw, number: int, candidate: Candidate, chance: random.Random) -> Trial:
    """Reap a dead client some time after the grace, and a live one if its stall lasts longer."""
    late = chance.random() * candidate.poll
    if one.part == "dead":
        return tried(one.number, number, "reaped", stall=candidate.grace, reaped_at=FAULT + candidate.grace + late)
    stall = stall_of(one.facts["outage_s"], one.facts["rtt_s"], one.facts["phase"])
    if stall <= candidate.grace:
        return tried(one.number, number, "kept", stall=stall)
    return tried(one.number, number, "reaped", stall=stall, reaped_at=FAULT + candidate.grace + late)


def draws(runs: int, dead: int, *, staircase: bool, seed: int = 7) -> Iterator[Draw]:
    """Yield outages with lengths that fall off as in the field, and slow readers that stall briefly."""
    chance = random.Random(seed)
    number = itertools.count()
    for _ in range(runs):
        slow = chance.random() < 0.3
        outage = 0.1 if slow else min(100.0, chance.expovariate(1 / 2.5))
        facts = {"outage_s": outage, "rtt_s": chance.choice([0.02, 0.1]), "phase": chance.random()}
        yield draw(next(number), "mix", "slow-reader" if slow else "outage", **facts)
    for nth in range(dead):
        yield draw(next(number), "dead", ("frozen", "vanished", "wedged")[nth % 3])
    if staircase:
        for rtt, length, phase in itertools.product((0.02, 0.1, 0.3), range(1, 121), (0.0, 0.25, 0.5, 0.75)):
            yield draw(next(number), "staircase", "staircase", outage_s=float(length), rtt_s=rtt, phase=phase)


def sweep(who: tuple[Candidate, ...], runs: int = 400, dead: int = 60, *, staircase: bool = True) -> Sweep:
    return Sweep(7, tuple(draws(runs, dead, staircase=staircase)), who)


def outcomes(of: Sweep, seed: int = 7) -> list[Trial]:
    chance = random.Random(seed)
    return [came_of(one, number, who, chance) for one in of.draws for number, who in enumerate(of.candidates)]


def estimates(*detectors: str | None, runs: int = 400, dead: int = 60, staircase: bool = True) -> Estimates:
    """Each detector acts as bytes-acked would, on the same draws. The second acts as if it polled later."""
    made = sweep(candidates(*detectors), runs, dead, staircase=staircase)
    return estimate(made, outcomes(made))


@functools.cache
def table(
    *detectors: str | None,
    known: int = 10_000,
    polls: Sequence[float] = (2.0,),
) -> dict[str, Any]:
    """Return grace.json of a sweep of these detectors with the first ``known`` draws known."""
    who = [one for poll in polls for one in candidates(*detectors, graces=(5.0, 30.0), poll=poll)]
    of = sweep(tuple(who), runs=60, dead=9)
    return files.as_table(of, estimate(of, [one for one in outcomes(of) if one.draw < known]), HOW)
