"""Durations in a test, written as in a scenario: with their unit, or in terms of the detector's grace and poll."""

from __future__ import annotations

from halfopen.errors import InputError
from halfopen.model.expressions import Expression
from halfopen.verdict.judge import Timing

#: Terms for grace and poll themselves, which cannot refer to each other.
_NONE = Timing(0.0, 0.0)


def seconds(name: str, text: object, terms: Timing = _NONE) -> float:
    """Return the length of ``text`` in seconds; raises InputError that names the option."""
    return expression(name, text).seconds(grace=terms.grace, poll=terms.poll)


def expression(name: str, text: object) -> Expression:
    """Parse ``text``; raises InputError that names the option."""
    try:
        return Expression.parse(text)
    except ValueError as error:
        raise InputError(f"{name}: {error}") from None
