"""Which outages a session survives: the staircase's draws, by round trip and length. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from halfopen.grace.model import Draw, Phases, Tried

#: The facts of a staircase's draw.
LENGTH, ROUND_TRIP = "outage_s", "rtt_s"
#: Stalls that differ by less end with the same retransmission: the next is twice as far (RFC 6298, section 5.5).
_SAME = 0.2


@dataclass(frozen=True, slots=True)
class Step:
    """All outages of one length at one round trip, at whatever phase of the backoff; seconds."""

    rtt: float
    length: float
    kept: int
    """At how many phases of the detector's poll, of all its sessions together; those that were run really have one."""
    reaped: int
    worst: bool
    """Whether there is a phase at which a session is reaped."""
    stalls: tuple[float, ...]
    """How long nothing was acknowledged, in order."""

    @property
    def tried(self) -> int:
        """At how many phases something is known."""
        return self.kept + self.reaped


@dataclass(frozen=True, slots=True)
class Survival:
    """How long an outage may be; seconds."""

    rtt: float | None
    """None: over all round trips."""
    survived: float | None
    """The longest such that it and all shorter ones were survived at every phase that was tried; None: none was."""
    reaped: float | None
    """The shortest in which a session is reaped at some phase; None: none is."""
    longest: float | None
    """The longest that was tried: where it is the one survived, longer ones may be, too."""


def steps(draws: Iterable[Draw], tried: Mapping[int, Tried]) -> tuple[Step, ...]:
    """What came of each length, also of those of which nothing is known yet; ``tried``: by the draw's number."""
    found: dict[tuple[float, float], list[Tried | None]] = defaultdict(list)
    for draw in draws:
        if draw.part == "staircase" and LENGTH in draw.facts:
            place = draw.facts.get(ROUND_TRIP, 0.0), draw.facts[LENGTH]
            found[place].append(tried.get(draw.number))
    return tuple(_step(rtt, length, found[rtt, length]) for rtt, length in sorted(found))


def _step(rtt: float, length: float, its: Sequence[Tried | None]) -> Step:
    there = [one for one in its if one is not None and one.came in {"kept", "reaped"}]
    phases = [one.phases or Phases(one.came == "reaped", 1, one.came == "reaped") for one in there]
    reaped = sum(one.reaped for one in phases)
    return Step(
        rtt,
        length,
        kept=sum(one.tried for one in phases) - reaped,
        reaped=reaped,
        worst=any(one.worst for one in phases),
        stalls=tuple(sorted(one.longest_stall for one in there)),
    )


def survivals(found: Sequence[Step]) -> tuple[Survival, ...]:
    """For each round trip, and at last over all; nothing without a staircase."""
    if not found:
        return ()
    trips = sorted({step.rtt for step in found})
    return (*(_survival(rtt, [one for one in found if one.rtt == rtt]) for rtt in trips), _survival(None, found))


def _survival(rtt: float | None, its: Sequence[Step]) -> Survival:
    """A length of which nothing is known ends what is said to be survived, as one does in which a session was lost."""
    survived = None
    for length in sorted({step.length for step in its}):
        if any(step.worst or not step.tried for step in its if step.length == length):
            break
        survived = length
    reaped = min((step.length for step in its if step.worst), default=None)
    longest = max((step.length for step in its if step.tried), default=None)
    return Survival(rtt, survived, reaped, longest)


@dataclass(frozen=True, slots=True)
class Flight:
    """Outages of consecutive lengths that all end with the same retransmission; seconds."""

    rtt: float
    shortest: float
    longest: float
    stall: float
    """The longest that any of them made."""


def flights(found: Sequence[Step]) -> tuple[Flight, ...]:
    """The staircase as what it is made of; by the longest stall of each length, which its phase decides."""
    made: list[Flight] = []
    for step in sorted((one for one in found if one.stalls), key=lambda one: (one.rtt, one.length)):
        stall = step.stalls[-1]
        if made and made[-1].rtt == step.rtt and abs(stall - made[-1].stall) <= _SAME * made[-1].stall:
            made[-1] = replace(made[-1], longest=step.length, stall=max(stall, made[-1].stall))
        else:
            made.append(Flight(step.rtt, step.length, step.length, stall))
    return tuple(made)
