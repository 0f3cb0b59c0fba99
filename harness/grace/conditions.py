"""Conditions: scenarios with placeholders for numbers, and the distributions of these. Pure."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from halfopen.errors import InputError, suggest
from halfopen.grace.random_quantities import Quantity, Spread
from halfopen.model import schema
from halfopen.model.expressions import Expression
from halfopen.netns.lab_errors import UnitError
from halfopen.netns.units import Share, plain
from halfopen.scenario import spec
from halfopen.scenario.spec import Scenario

Kind = Literal["alive", "dead"]

#: The outcome that a session of each kind must have.
_ENDS = {"alive": "kept", "dead": "reaped"}
#: A placeholder: a parameter's name, or arithmetic with one. A TOML inline table does not match: it has an equals sign.
_PLACE = re.compile(r"\{([a-z][a-z0-9_]*(?:\s*[-+*/]\s*[a-z0-9_.]+)*)\}")
#: Short, because it becomes part of file names.
_NAME_OF_CONDITION = re.compile(r"[a-z][a-z0-9-]{0,39}")
_NAME_OF_PARAMETER = re.compile(r"[a-z][a-z0-9_]*")
_LETTERS = "small letters and digits, beginning with a letter, with"
#: Prefix of the causes of sessions over recorded links.
OF_TRACES = "trace-"
#: Names with another meaning in a scenario's durations.
_TAKEN = frozenset({"grace", "poll"})

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
    parameters: Mapping[str, Spread]

    def drawn(self, rng: random.Random) -> dict[str, Quantity]:
        """Draw a value of each parameter. Uses one random number for each, in the file's order."""
        return {name: spread.at(rng.random()) for name, spread in self.parameters.items()}

    def typical(self) -> dict[str, Quantity]:
        """Return the median of each parameter."""
        return {name: spread.at(0.5) for name, spread in self.parameters.items()}


def read(name: str, table: object, kind: Kind, where: str) -> Condition:
    """Read a condition from its table of a mix; raises InputError. ``where`` is its name in errors."""
    _check_name(name, _NAME_OF_CONDITION, f"a condition: {_LETTERS} dashes, 40 at most", where)
    if name.startswith(OF_TRACES):
        raise InputError(f"{where}: {name!r} is what a recorded link would be called (--trace); give it another name")
    found = schema.convert(table, _Table, where)
    if not found.source.strip():
        raise InputError(f"{where}: key 'source' is empty; say where the weight is from, or that it is a guess")
    spreads = {}
    for key, value in found.draw.items():
        _check_name(key, _NAME_OF_PARAMETER, f"a parameter: {_LETTERS} underscores", where)
        if key in _TAKEN:
            raise InputError(f"{where}: a parameter cannot be called {key!r}: durations are written in it")
        spreads[key] = schema.convert(value, Spread, f"{where}.draw.{key}")
    condition = Condition(name, found.weight, found.source, found.scenario, spreads)
    _check(condition, kind, where)
    return condition


def _check_name(name: str, pattern: re.Pattern[str], rule: str, where: str) -> None:
    if not pattern.fullmatch(name):
        raise InputError(f"{where}: {name!r} is no name for {rule}")


def _check(condition: Condition, kind: Kind, where: str) -> None:
    """Raise InputError if its scenario is invalid with the medians or the extremes."""
    at, typical = f"{where}.scenario", condition.typical()
    found = _filled(condition, typical, at)
    if found.truth != kind:
        raise InputError(f"{at}: key 'truth' is {found.truth!r}, but it stands under [{kind}]")
    if found.expect.session != _ENDS[kind]:
        raise InputError(
            f"{at}: key 'expect.session' is {found.expect.session!r}; under [{kind}] it is {_ENDS[kind]!r}"
        )
    _check_possible(found, f"{where}.scenario")
    unused = sorted(set(condition.parameters) - _used(condition.template))
    if unused:
        raise InputError(f"{where}.draw: nothing in the scenario uses {unused[0]!r}; write it as {{{unused[0]}}}")
    _check_the_same_for_all(found, kind, at)
    for name, spread in condition.parameters.items():
        for value in spread.extremes:
            _filled(condition, {**typical, name: value}, f"{at} with {name} of {value}")


def _filled(condition: Condition, given: Mapping[str, Quantity], where: str) -> Scenario:
    return parsed(fill(condition.template, given, where), condition.name, where)


def _check_the_same_for_all(found: Scenario, kind: Kind, where: str) -> None:
    """Raise InputError if a fault's times, or a live client's hold, depend on the grace or the poll."""
    durations = [(f"step.{key}", getattr(step, key)) for step in found.steps for key in ("at", "lasting")]
    if kind == "alive":
        durations.append(("expect.hold", found.expect.hold))
    for key, written in durations:
        if written is not None and len({written.seconds(grace=grace, poll=poll) for grace, poll in _TERMS}) > 1:
            shown = key.replace("lasting", "for")
            raise InputError(
                f"{where}: key {shown!r} is {str(written)!r}: all graces are tried on the same sessions, so write it "
                "without 'grace' and 'poll'"
            )


def _check_possible(found: Scenario, where: str) -> None:
    """Raise InputError if a sweep could never run the scenario as it is written."""
    if found.needs_container:
        raise InputError(f"{where}: it pauses the server's container, and a sweep has none; write it with 'freeze'")
    for step in found.steps:
        if getattr(step.module, "ENDS_SESSION", False):
            raise InputError(
                f"{where}: fault {step.fault!r} has the pod itself end the session, whatever the grace; "
                "write what befalls its client"
            )
    if found.detector is not None:
        raise InputError(
            f"{where}: key 'detector' is {found.detector!r}, but each is tried with all of --detector; leave it out"
        )


def parsed(text: str, name: str, where: str) -> Scenario:
    """Parse a filled template as a scenario; raises InputError."""
    return spec.parse(text, name=name, suite="grace", where=where)


def fill(template: str, given: Mapping[str, Quantity], where: str) -> str:
    """Fill the template's placeholders; raises InputError for a placeholder without a parameter."""

    def filled(match: re.Match[str]) -> str:
        names = re.findall(r"\b[a-z_]\w*", match[1])
        for name in names:
            if name not in given:
                raise InputError(f"{where}: nothing is drawn for {name!r} of {match[0]}; {suggest(name, given)}")
        if match[1] in given:
            return str(given[match[1]])
        return _worked_out(match[1], given, where)

    return _PLACE.sub(filled, template)


def _worked_out(arithmetic: str, given: Mapping[str, Quantity], where: str) -> str:
    """Calculate with durations and numbers: ``rtt / 2``."""
    source = re.sub(r"\b[a-z_]\w*", lambda match: str(given[match[0]]), arithmetic)
    try:
        seconds = Expression(source).seconds(grace=0.0, poll=0.0)
    except UnitError as error:
        raise InputError(f"{where}: {{{arithmetic}}}: {error}") from None
    return plain(seconds) + "s"


def _used(template: str) -> set[str]:
    return {name for match in _PLACE.finditer(template) for name in re.findall(r"\b[a-z_]\w*", match[1])}
