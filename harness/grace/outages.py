"""Survived outages: the staircase's draws by round trip and length. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from halfopen.grace.replay import Phases
from halfopen.grace.sweep import Draw, Trial

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


def steps(draws: Iterable[Draw], trials: Mapping[int, Trial]) -> tuple[OutageStep, ...]:
    """Return the results of each length, also of lengths without results. ``trials`` is by the draw's number."""
    grouped: dict[tuple[float, float], list[Trial]] = {}
    for draw in draws:
        if draw.part == "staircase":
            group = grouped.setdefault((draw.facts.get("rtt_s", 0.0), draw.facts["outage_s"]), [])
            trial = trials.get(draw.number)
            if trial is not None and trial.outcome in {"kept", "reaped"}:
                group.append(trial)
    return tuple(_step(rtt, length, group) for (rtt, length), group in sorted(grouped.items()))


def _step(rtt: float, length: float, trials: Sequence[Trial]) -> OutageStep:
    phases = [trial.phases or Phases(trial.outcome == "reaped", 1, trial.outcome == "reaped") for trial in trials]
    reaped = sum(phase.reaped for phase in phases)
    return OutageStep(
        rtt,
        length,
        kept=sum(phase.tried for phase in phases) - reaped,
        reaped=reaped,
        worst=any(phase.worst for phase in phases),
        stalls=tuple(sorted(trial.longest_stall for trial in trials)),
    )


def survivals(steps: Sequence[OutageStep]) -> tuple[Survival, ...]:
    """Return the survival for each round trip, then over all; empty without a staircase."""
    if not steps:
        return ()
    trips = sorted({step.rtt for step in steps})
    return (*(_survival(rtt, [step for step in steps if step.rtt == rtt]) for rtt in trips), _survival(None, steps))


def _survival(rtt: float | None, steps: Sequence[OutageStep]) -> Survival:
    """The survival at one round trip. A length without results limits ``survived``, just as a lost session does."""
    survived = None
    for length in sorted({step.length for step in steps}):
        if any(step.worst or not step.tried for step in steps if step.length == length):
            break
        survived = length
    reaped = min((step.length for step in steps if step.worst), default=None)
    longest = max((step.length for step in steps if step.tried), default=None)
    return Survival(rtt, survived, reaped, longest)


@dataclass(frozen=True, slots=True)
class Stair:
    """Outages of consecutive lengths that all end with the same retransmission. In seconds."""

    rtt: float
    shortest: float
    longest: float
    stall: float
    """The longest stall among them."""


def stairs(steps: Sequence[OutageStep]) -> tuple[Stair, ...]:
    """Group steps into stairs by the longest stall of each length, which depends on its phase."""
    stairs: list[Stair] = []
    for step in sorted((step for step in steps if step.stalls), key=lambda step: (step.rtt, step.length)):
        stall, last = step.stalls[-1], stairs[-1] if stairs else None
        if last and last.rtt == step.rtt and abs(stall - last.stall) <= _SAME * last.stall:
            stairs[-1] = replace(last, longest=step.length, stall=max(stall, last.stall))
        else:
            stairs.append(Stair(step.rtt, step.length, step.length, stall))
    return tuple(stairs)
