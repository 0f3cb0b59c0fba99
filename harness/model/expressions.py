"""Durations written in grace and poll: "2.6 * grace", "grace + poll + 1s"."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from typing import NamedTuple

from halfopen.netns import units
from halfopen.netns.lab_errors import UnitError

_LITERAL = re.compile(r"\b[0-9]+(?:\.[0-9]+)?\s*[A-Za-z]+\b")
_HINT = "write a duration such as '30s', or one in grace and poll such as '2.6 * grace' or 'grace + poll + 1s'"


class _Quantity(NamedTuple):
    value: float
    is_duration: bool


class Expression(str):
    """A duration that may depend on the detector's grace and poll, as it was written."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: object) -> Expression:
        """Check ``text``; raises ValueError that says what would be valid."""
        if not isinstance(text, str):
            raise UnitError(f"a duration needs a unit: got {text!r}, write \"{text}s\", or 'grace'")
        expression = cls(text)
        expression.seconds(grace=1.0, poll=1.0)
        return expression

    def seconds(self, *, grace: float, poll: float) -> float:
        """The duration in seconds, for a grace and a poll in seconds."""
        names = {"grace": _Quantity(grace, True), "poll": _Quantity(poll, True)}

        def name_literal(match: re.Match[str]) -> str:
            name = f"literal_{len(names)}"
            names[name] = _Quantity(units.duration(match[0]), True)
            return name

        source = _LITERAL.sub(name_literal, self)
        try:
            tree = ast.parse(source.strip(), mode="eval")
        except (SyntaxError, RecursionError, MemoryError, ValueError):
            raise UnitError(f"not a duration: {self!r}; {_HINT}") from None
        try:
            result = _evaluate(tree.body, names, self)
        except RecursionError:
            raise UnitError(f"not a duration: {self[:40]!r}... is too long; {_HINT}") from None
        if not result.is_duration:
            raise UnitError(f"a duration needs a unit: got {self!r}; {_HINT}")
        if not result.value <= units.LONGEST:
            raise UnitError(f"a duration is at most {units.show_duration(units.LONGEST)}: {self[:40]!r}")
        if result.value < 0:
            raise UnitError(f"a duration cannot be negative: {self!r}")
        return result.value


_SUMS: dict[type, Callable[[float, float], float]] = {ast.Add: operator.add, ast.Sub: operator.sub}


def _evaluate(node: ast.expr, names: dict[str, _Quantity], text: str) -> _Quantity:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return _Quantity(float(number), False)
        case ast.Name(id=name) if name in names:
            return names[name]
        case ast.BinOp(left=left, op=op, right=right):
            return _combine(op, _evaluate(left, names, text), _evaluate(right, names, text), text)
        case _:
            raise UnitError(f"not a duration: {text!r}; {_HINT}")


def _combine(op: ast.operator, a: _Quantity, b: _Quantity, text: str) -> _Quantity:
    if type(op) in _SUMS:
        if a.is_duration != b.is_duration:
            raise UnitError(f"a bare number cannot be added to a duration: {text!r}; {_HINT}")
        return _Quantity(_SUMS[type(op)](a.value, b.value), a.is_duration)
    if isinstance(op, ast.Mult) and not (a.is_duration and b.is_duration):
        return _Quantity(a.value * b.value, a.is_duration or b.is_duration)
    if isinstance(op, ast.Div) and not b.is_duration and b.value:
        return _Quantity(a.value / b.value, a.is_duration)
    raise UnitError(f"not a duration: {text!r}; {_HINT}")
