"""Survived outages: the staircase's draws by round trip and length. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from halfopen.grace.trials import Draw, Phases, Trial

#: Keys of a staircase's facts.
LENGTH, ROUND_TRIP = "outage_s", "rtt_s"
#: Stalls that differ by a smaller share end with the same retransmission. The next comes after twice the time
#: (RFC 6298, section 5.5).
_SAME = 0.2


@dataclass(frozen=True, slots=True)
class OutageStep:
    """All outages of one length at one round trip, at any phase of the backoff. In seconds."""

    rtt: float
    length: float
    kept: int
    """Number of the detector's poll phases that kept the session, over all sessions. A real run has one phase."""
    reaped: int
    worst: bool
    """True if a session is reaped at some phase."""
    stalls: tuple[float, ...]
    """Times without an acknowledgement, in ascending order."""

    @property
    def tried(self) -> int:
        """Number of phases with a known outcome."""
        return self.kept + self.reaped


@dataclass(frozen=True, slots=True)
class Survival:
    """The outages that sessions survive, by length in seconds."""

    rtt: float | None
    """None means all round trips together."""
    survived: float | None
    """The longest outage that, like all shorter ones, was survived at every phase tried; None without any."""
    reaped: float | None
    """The shortest outage in which a session is reaped at some phase; None if there is none."""
    longest: float | None
    """The longest outage tried. If it was survived, longer ones may be too."""


def steps(draws: Iterable[Draw], tried: Mapping[int, Trial]) -> tuple[OutageStep, ...]:
    """Return the results of each length, also of lengths without results. ``tried`` is by the draw's number."""
    found: dict[tuple[float, float], list[Trial | None]] = defaultdict(list)
    for draw in draws:
        if draw.part == "staircase" and LENGTH in draw.facts:
            place = draw.facts.get(ROUND_TRIP, 0.0), draw.facts[LENGTH]
            found[place].append(tried.get(draw.number))
    return tuple(_step(rtt, length, found[rtt, length]) for rtt, length in sorted(found))


def _step(rtt: float, length: float, its: Sequence[Trial | None]) -> OutageStep:
    there = [one for one in its if one is not None and one.came in {"kept", "reaped"}]
    phases = [one.phases or Phases(one.came == "reaped", 1, one.came == "reaped") for one in there]
    reaped = sum(one.reaped for one in phases)
    return OutageStep(
        rtt,
        length,
        kept=sum(one.tried for one in phases) - reaped,
        reaped=reaped,
        worst=any(one.worst for one in phases),
        stalls=tuple(sorted(one.longest_stall for one in there)),
    )


def survivals(found: Sequence[OutageStep]) -> tuple[Survival, ...]:
    """Return the survival for each round trip, then over all; empty without a staircase."""
    if not found:
        return ()
    trips = sorted({step.rtt for step in found})
    return (*(_survival(rtt, [one for one in found if one.rtt == rtt]) for rtt in trips), _survival(None, found))


def _survival(rtt: float | None, its: Sequence[OutageStep]) -> Survival:
    """The survival at one round trip. A length without results limits ``survived``, just as a lost session does."""
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
    """Outages of consecutive lengths that all end with the same retransmission. In seconds."""

    rtt: float
    shortest: float
    longest: float
    stall: float
    """The longest stall among them."""


def flights(found: Sequence[OutageStep]) -> tuple[Flight, ...]:
    """Group steps into flights by the longest stall of each length, which depends on its phase."""
    made: list[Flight] = []
    for step in sorted((one for one in found if one.stalls), key=lambda one: (one.rtt, one.length)):
        stall = step.stalls[-1]
        if made and made[-1].rtt == step.rtt and abs(stall - made[-1].stall) <= _SAME * made[-1].stall:
            made[-1] = replace(made[-1], longest=step.length, stall=max(stall, made[-1].stall))
        else:
            made.append(Flight(step.rtt, step.length, step.length, stall))
    return tuple(made)
