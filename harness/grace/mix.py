"""A mix: the conditions that a server's clients live and die under, their weights, and sessions drawn from it.

docs/grace-mix.md describes the file. The default is scenarios/_grace/default.toml. Pure except for reading.
"""

from __future__ import annotations

import math
import random
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from halfopen import scenarios
from halfopen.errors import InputError
from halfopen.grace import conditions, recorded_links
from halfopen.grace.conditions import Condition, Kind
from halfopen.grace.random_quantities import Quantity
from halfopen.grace.recorded_links import RecordedLink
from halfopen.grace.staircase import staircase as steps_of
from halfopen.grace.trials import Draw, Part
from halfopen.model import schema, text_files
from halfopen.netns.units import Share

DEFAULT = Path(scenarios.__file__).parent / "_grace" / "default.toml"

#: The number of the staircase's first draw.
MOST_RUNS = 1_000_000
#: Tolerance for the sum of weights, which are written with few digits.
_ROUNDING = 1e-6


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: str
    alive: dict[str, Any]
    dead: dict[str, Any]
    dead_runs: Share
    recorded_runs: Share = Share(0.5)


@dataclass(frozen=True, slots=True)
class Mix:
    """The distribution of sessions."""

    title: str
    alive: tuple[Condition, ...]
    dead: tuple[Condition, ...]
    dead_runs: float
    """Share of the runs that have dead clients. It does not model how often clients die."""
    recorded_runs: float
    """Share of the live sessions that go over recorded links, if there are any."""


def read(path: Path | None = None) -> Mix:
    """Read the mix of a file, or the default. Raises InputError that names the file, the key and the value."""
    where = "the default mix" if path is None else str(path)
    text = text_files.text_of(path or DEFAULT, "mix file", where)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{where}: not TOML: {error}") from None
    file = schema.convert(table, _File, where)
    if file.dead_runs >= 1:
        raise InputError(f"{where}: key 'dead_runs' is 100%, which leaves none for clients that are alive")
    alive, dead = _conditions(file.alive, "alive", where), _conditions(file.dead, "dead", where)
    return Mix(file.title, alive, dead, file.dead_runs, file.recorded_runs)


def _conditions(tables: Mapping[str, Any], kind: Kind, where: str) -> tuple[Condition, ...]:
    found = tuple(conditions.read(name, table, kind, f"{where}: {kind}.{name}") for name, table in tables.items())
    whole = math.fsum(condition.weight for condition in found)
    if abs(whole - 1) > _ROUNDING:
        raise InputError(f"{where}: the weights under [{kind}] add up to {whole:.4%}, which must be 100%")
    return found


def draws(
    mix: Mix, seed: int, runs: int, staircase: bool = True, traces: Sequence[RecordedLink] = ()
) -> tuple[Draw, ...]:
    """Draw ``runs`` sessions from the mix, at most MOST_RUNS; append the staircase's if asked for.

    Each draw has a random sequence of its own. The same seed gives the same nth draw, however many there are, and the
    same staircase.
    """
    assert runs <= MOST_RUNS
    drawn = [_draw(mix, seed, number, traces) for number in range(runs)]
    return (*drawn, *(steps_of(seed, first=MOST_RUNS) if staircase else ()))


def _draw(mix: Mix, seed: int, number: int, traces: Sequence[RecordedLink]) -> Draw:
    rng = random.Random(f"{seed}/draw/{number}")
    if _is_dead(number, mix.dead_runs):
        return _of("dead", _picked(mix.dead, rng), seed, number, rng)
    # Draw in any case, so that the following numbers are the same with and without recordings.
    if rng.random() < mix.recorded_runs and traces:
        return recorded_links.draw(traces[rng.randrange(len(traces))], number, rng)
    return _of("mix", _picked(mix.alive, rng), seed, number, rng)


def _is_dead(number: int, share: float) -> bool:
    """True if the nth run has a dead client. Spread so that the first n runs always contain that share."""
    return math.floor((number + 1) * share) > math.floor(number * share)


def _picked(among: Sequence[Condition], rng: random.Random) -> Condition:
    return rng.choices(among, [condition.weight for condition in among])[0]


def _of(part: Part, condition: Condition, seed: int, number: int, rng: random.Random) -> Draw:
    given = condition.drawn(rng)
    drawn = f"# Drawn by halfopen grace from the condition {condition.name!r}: seed {seed}, draw {number}.\n"
    text = conditions.fill(condition.template, given, condition.name).strip()
    return Draw(
        number=number,
        part=part,
        cause=condition.name,
        name=f"{number:04}-{condition.name}{_told(given)}",
        scenario=f"{drawn}{text}\n",
        facts={quantity.fact(name): quantity.value for name, quantity in given.items()},
    )


def _told(given: Mapping[str, Quantity]) -> str:
    """The part of a file's name with the drawn outage and round trip."""
    outage, rtt = given.get("outage"), given.get("rtt")
    told = f"-{outage.value:.1f}s".replace(".0s", "s") if outage else ""
    return told + (f"-rtt{rtt.value * 1000:.0f}" if rtt else "")
