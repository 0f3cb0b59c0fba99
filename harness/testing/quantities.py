"""Durations of a test, written as in a scenario: with their unit, or in the detector's grace and poll."""

from __future__ import annotations

from halfopen.errors import InputError
from halfopen.model.expressions import Expression
from halfopen.verdict.judge import Terms

#: What grace and poll are themselves written in: nothing.
_NONE = Terms(0.0, 0.0)


def seconds(name: str, text: object, terms: Terms = _NONE) -> float:
    """How long ``text`` is; raises InputError that names what it was given for."""
    return expression(name, text).seconds(grace=terms.grace, poll=terms.poll)


def expression(name: str, text: object) -> Expression:
    """Check ``text``; raises InputError that names what it was given for."""
    try:
        return Expression.parse(text)
    except ValueError as error:
        raise InputError(f"{name}: {error}") from None
