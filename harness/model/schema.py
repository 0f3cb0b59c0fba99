"""Convert structured input (TOML tables, options of clients and faults) into frozen structs, with readable errors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from halfopen.errors import InputError, suggest
from halfopen.model.expressions import Expression
from halfopen.netns import units

_T = TypeVar("_T")

_LOCATED = re.compile(r"(?P<what>.*) - at `\$(?P<at>.*)`", re.DOTALL)
_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(.*)`")
_MISSING_FIELD = re.compile(r"Object missing required field `(.*)`")
_WRONG_TYPE = re.compile(r"Expected `(.*)`, got `(.*)`")
_BAD_ENUM = re.compile(r"Invalid enum value (.*)")

_TYPE_WORDS = {
    "str": "text in quotes",
    "object": "a table",
    "array": "a list",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
}


def convert(value: object, kind: type[_T], where: str) -> _T:
    """Convert ``value`` into a ``kind`` (a msgspec struct); raises InputError naming ``where`` and the key."""
    try:
        return msgspec.convert(value, kind, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise InputError(f"{where}: {_explain(str(error), value, kind)}") from None


def _decode(kind: type, value: object) -> object:
    if kind is Expression:
        return Expression.parse(value)
    if kind in units.PARSERS:
        return units.PARSERS[kind](value)
    raise NotImplementedError(kind)


def _explain(message: str, value: object, kind: type) -> str:
    located = _LOCATED.fullmatch(message)
    what, at = (located["what"], located["at"].lstrip(".")) if located else (message, "")
    if unknown := _UNKNOWN_FIELD.fullmatch(what):
        key = f"{at}.{unknown[1]}".lstrip(".")
        table = None if at else _table_of(unknown[1], kind)
        return f"unknown key {key!r}; " + (
            f"it goes under [{table}]" if table else suggest(unknown[1], _fields(kind, at))
        )
    if missing := _MISSING_FIELD.fullmatch(what):
        return f"key {f'{at}.{missing[1]}'.lstrip('.')!r} is missing"
    got = _look_up(value, at)
    if wrong := _WRONG_TYPE.fullmatch(what):
        words = [_TYPE_WORDS.get(word, word) for word in wrong[1].split(" | ") if word != "null"]
        expected = " or ".join(dict.fromkeys(words))
        return f"{f'key {at!r} ' if at else ''}takes {expected}, got {got!r}"
    if _BAD_ENUM.fullmatch(what):
        return f"key {at!r} does not know {got!r}; {suggest(str(got), _choices(kind, at))}"
    return f"key {at!r}: {what}" if at else what


def _table_of(key: str, kind: type) -> str | None:
    """Return the table that takes a key written above all tables."""
    found = msgspec.inspect.type_info(kind)
    assert isinstance(found, msgspec.inspect.StructType), found
    tables = [field for field in found.fields if isinstance(field.type, msgspec.inspect.StructType)]
    return next((table.encode_name for table in tables if key in _fields(kind, table.encode_name)), None)


def _look_up(value: object, at: str) -> object:
    for part in re.findall(r"[^.\[\]]+", at):
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and part.isdigit():
            value = value[int(part)]
    return value


def _type_at(kind: Any, at: str) -> msgspec.inspect.Type:
    found = msgspec.inspect.type_info(kind)
    for part in re.findall(r"[^.\[\]]+", at):
        if isinstance(found, msgspec.inspect.StructType):
            by_name = {field.encode_name: field.type for field in found.fields}
            found = by_name.get(part, found)
        elif isinstance(found, msgspec.inspect.ListType | msgspec.inspect.VarTupleType):
            found = found.item_type
        if isinstance(found, msgspec.inspect.UnionType) and found.includes_none:
            [found] = [kind for kind in found.types if not isinstance(kind, msgspec.inspect.NoneType)]
    return found


def _fields(kind: type, at: str) -> list[str]:
    found = _type_at(kind, at)
    assert isinstance(found, msgspec.inspect.StructType), found
    return [field.encode_name for field in found.fields]


def _choices(kind: type, at: str) -> list[str]:
    found = _type_at(kind, at)
    options = found.types if isinstance(found, msgspec.inspect.UnionType) else (found,)
    return [
        str(value) for option in options if isinstance(option, msgspec.inspect.LiteralType) for value in option.values
    ]
