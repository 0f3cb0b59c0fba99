"""A mix: the conditions that a server's clients live and die under, with their weights. Pure except for reading.

A condition is a scenario with placeholders for numbers, and the distributions of these. docs/grace-mix.md describes the
file. The default is scenarios/_grace/default.toml.
"""

from __future__ import annotations

import math
import random
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from halfopen import scenarios
from halfopen.errors import InputError, suggest
from halfopen.grace.parameters import Distribution, Quantity
from halfopen.model import schema, text_files
from halfopen.model.expressions import Expression
from halfopen.netns.lab_errors import UnitError
from halfopen.netns.units import Share, plain
from halfopen.scenario import scenario_file
from halfopen.scenario.spec import Scenario

DEFAULT = Path(scenarios.__file__).parent / "_grace" / "default.toml"

Kind = Literal["alive", "dead"]

#: The outcome that a session of each kind must have.
_ENDS = {"alive": "kept", "dead": "reaped"}
#: A placeholder: a parameter's name, or arithmetic with one. A TOML inline table does not match: it has an equals sign.
_PLACE = re.compile(r"\{([a-z][a-z0-9_]*(?:\s*[-+*/]\s*[a-z0-9_.]+)*)\}")
_VARIABLE = re.compile(r"\b[a-z_]\w*")
#: Short, because it becomes part of file names.
_NAME_OF_CONDITION = re.compile(r"[a-z][a-z0-9-]{0,39}")
_NAME_OF_PARAMETER = re.compile(r"[a-z][a-z0-9_]*")
_LETTERS = "small letters and digits, beginning with a letter, with"
#: Prefix of the causes of sessions over recorded links.
OF_TRACES = "trace-"
#: Names with another meaning in a scenario's durations.
_TAKEN = frozenset({"grace", "poll"})

#: Tolerance for the sum of weights, which are written with few digits.
_ROUNDING = 1e-6
#: Pairs of grace and poll in seconds. A duration that differs between them refers to one of the two.
_TERMS = ((8.0, 1.0), (9.0, 1.0), (8.0, 1.5))


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    weight: Share
    source: str
    scenario: str
    draw: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Condition:
    """A possible state of a client or its link."""

    name: str
    weight: float
    """Share of the sessions of its kind."""
    source: str
    """The source of the weight."""
    template: str
    parameters: Mapping[str, Distribution]

    def draw(self, rng: random.Random) -> dict[str, Quantity]:
        """Draw a value of each parameter. Uses one random number for each, in the file's order."""
        return {name: parameter.at(rng.random()) for name, parameter in self.parameters.items()}

    def typical(self) -> dict[str, Quantity]:
        """Return the median of each parameter."""
        return {name: parameter.at(0.5) for name, parameter in self.parameters.items()}


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
    conditions = tuple(read_condition(name, table, kind, f"{where}: {kind}.{name}") for name, table in tables.items())
    total = math.fsum(condition.weight for condition in conditions)
    if abs(total - 1) > _ROUNDING:
        raise InputError(f"{where}: the weights under [{kind}] add up to {total:.4%}, which must be 100%")
    return conditions


def read_condition(name: str, value: object, kind: Kind, where: str) -> Condition:
    """Read a condition from its table of a mix; raises InputError. ``where`` is its name in errors."""
    _check_name(name, _NAME_OF_CONDITION, f"a condition: {_LETTERS} dashes, 40 at most", where)
    if name.startswith(OF_TRACES):
        raise InputError(f"{where}: {name!r} is what a recorded link would be called (--trace); give it another name")
    table = schema.convert(value, _Table, where)
    if not table.source.strip():
        raise InputError(f"{where}: key 'source' is empty; say where the weight is from, or that it is a guess")
    parameters = {}
    for key, distribution in table.draw.items():
        _check_name(key, _NAME_OF_PARAMETER, f"a parameter: {_LETTERS} underscores", where)
        if key in _TAKEN:
            raise InputError(f"{where}: a parameter cannot be called {key!r}: durations are written in it")
        parameters[key] = schema.convert(distribution, Distribution, f"{where}.draw.{key}")
    condition = Condition(name, table.weight, table.source, table.scenario, parameters)
    _check(condition, kind, where)
    return condition


def _check_name(name: str, pattern: re.Pattern[str], rule: str, where: str) -> None:
    if not pattern.fullmatch(name):
        raise InputError(f"{where}: {name!r} is no name for {rule}")


def _check(condition: Condition, kind: Kind, where: str) -> None:
    """Raise InputError if its scenario is invalid with the medians or the extremes."""
    at, typical = f"{where}.scenario", condition.typical()

    def filled(values: Mapping[str, Quantity], place: str) -> Scenario:
        return parsed(fill(condition.template, values, place), condition.name, place)

    scenario = filled(typical, at)
    for problem in _problems(scenario, kind):
        raise InputError(f"{at}: {problem}")
    used = {name for place in _PLACE.finditer(condition.template) for name in _VARIABLE.findall(place[1])}
    for name in sorted(set(condition.parameters) - used):
        raise InputError(f"{where}.draw: nothing in the scenario uses {name!r}; write it as {{{name}}}")
    for name, parameter in condition.parameters.items():
        for extreme in parameter.extremes:
            filled({**typical, name: extreme}, f"{at} with {name} of {extreme}")


def _problems(scenario: Scenario, kind: Kind) -> Iterator[str]:
    """Yield reasons why a sweep cannot use the scenario."""
    if scenario.truth != kind:
        yield f"key 'truth' is {scenario.truth!r}, but it stands under [{kind}]"
    if scenario.expect.session != _ENDS[kind]:
        yield f"key 'expect.session' is {scenario.expect.session!r}; under [{kind}] it is {_ENDS[kind]!r}"
    if scenario.needs_container:
        yield "it pauses the server's container, and a sweep has none; write it with 'freeze'"
    if enders := [step.fault for step in scenario.steps if getattr(step.module, "ENDS_SESSION", False)]:
        ending = f"fault {enders[0]!r} has the pod itself end the session"
        yield f"{ending}, whatever the grace; write what befalls its client"
    if scenario.detector is not None:
        yield f"key 'detector' is {scenario.detector!r}, but each is tried with all of --detector; leave it out"
    durations = [
        (f"step.{key}", time) for step in scenario.steps for key, time in (("at", step.at), ("for", step.lasting))
    ]
    if kind == "alive":
        durations.append(("expect.hold", scenario.expect.hold))
    for key, duration in durations:
        if duration is not None and len({duration.seconds(grace=grace, poll=poll) for grace, poll in _TERMS}) > 1:
            yield (
                f"key {key!r} is {str(duration)!r}: all graces are tried on the same sessions, so write it without "
                "'grace' and 'poll'"
            )


def parsed(text: str, name: str, where: str) -> Scenario:
    """Parse a filled template as a scenario; raises InputError."""
    return scenario_file.parse(text, name=name, suite="grace", where=where)


def fill(template: str, values: Mapping[str, Quantity], where: str) -> str:
    """Fill the template's placeholders; raises InputError for a placeholder without a parameter."""

    def filled(match: re.Match[str]) -> str:
        for name in _VARIABLE.findall(match[1]):
            if name not in values:
                raise InputError(f"{where}: nothing is drawn for {name!r} of {match[0]}; {suggest(name, values)}")
        if match[1] in values:
            return str(values[match[1]])
        # Arithmetic with durations and numbers, such as "rtt / 2".
        source = _VARIABLE.sub(lambda name: str(values[name[0]]), match[1])
        try:
            return plain(Expression(source).seconds(grace=0.0, poll=0.0)) + "s"
        except UnitError as error:
            raise InputError(f"{where}: {match[0]}: {error}") from None

    return _PLACE.sub(filled, template)
