"""Groups of options: if a parameter of a command is a dataclass, each field of it is an option.

A field is annotated as typer wants a parameter to be: ``Annotated[int, typer.Option(...)]``.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_args, get_origin, get_type_hints


@dataclasses.dataclass(frozen=True, slots=True)
class Without:
    """Mark of a group in a command that lacks one of its options: ``Annotated[Group, Without("field")]``."""

    field: str


def expanded(command: Callable[..., int]) -> Callable[..., int]:
    """Return the command with the options of its groups as parameters, for typer to read."""
    options: list[inspect.Parameter] = []
    groups: dict[str, tuple[type, list[str]]] = {}
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        is_marked = get_origin(parameter.annotation) is Annotated
        kind, *marks = get_args(parameter.annotation) if is_marked else [parameter.annotation]
        if dataclasses.is_dataclass(kind) and isinstance(kind, type):
            fields = _options(kind, {mark.field for mark in marks})
            groups[parameter.name] = (kind, [field.name for field in fields])
            options += fields
        else:
            options.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))

    def call(**values: Any) -> int:
        made = {name: kind(**{field: values.pop(field) for field in fields}) for name, (kind, fields) in groups.items()}
        return command(**values, **made)

    call.__name__, call.__doc__ = command.__name__, command.__doc__
    call.__annotations__ = {option.name: option.annotation for option in options}
    call.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    return call


def _options(group: type, left_out: set[str]) -> list[inspect.Parameter]:
    kinds = get_type_hints(group, include_extras=True)
    assert left_out <= set(kinds), left_out
    return [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=kinds[field.name]
        )
        for field in dataclasses.fields(group)
        if field.name not in left_out
    ]
