"""Durations, sizes and folders on the command line."""

from __future__ import annotations

import enum
from pathlib import Path

import typer

from harness.errors import InputError
from netns import units
from netns.errors import UnitError
from netns.units import ByteRate, Duration, Size


def positive_duration(text: str) -> Duration:
    """A duration that may not be zero; raises typer.BadParameter."""
    try:
        seconds = units.duration(text)
    except UnitError as error:
        raise typer.BadParameter(str(error)) from None
    if not seconds:
        raise typer.BadParameter(f"must be more than nothing: got {text!r}")
    if seconds > units.LONGEST:
        raise typer.BadParameter(f"must be at most {units.show_duration(units.LONGEST)}: got {text!r}")
    return seconds


def positive_rate(text: str) -> ByteRate:
    """A rate of bytes that may not be zero; raises typer.BadParameter."""
    try:
        rate = units.byte_rate(text)
    except UnitError as error:
        raise typer.BadParameter(str(error)) from None
    if not rate:
        raise typer.BadParameter(f"must be more than nothing: got {text!r}")
    return rate


class ReapBy(enum.StrEnum):
    """How a dead client's connection is ended."""

    SHUTDOWN = "shutdown"
    RESET = "reset"


#: What a guest's kernel takes (netns.guest.seeding).
MOST_SEED = 2**64 - 1
#: Less does not hold a Python and its server, more than this no laptop has.
_LEAST_MEMORY, _MOST_MEMORY = 128 << 20, 64 << 30


def memory(text: str) -> Size:
    """A guest's memory; raises typer.BadParameter."""
    try:
        found = units.size(text)
    except UnitError as error:
        raise typer.BadParameter(str(error)) from None
    if not _LEAST_MEMORY <= found <= _MOST_MEMORY:
        raise typer.BadParameter(f"must be between {_LEAST_MEMORY >> 20}MiB and {_MOST_MEMORY >> 20}MiB: got {text!r}")
    return found


def writable_folders(paths: list[Path] | None) -> list[Path]:
    """The folders of ``--writable``; raises InputError for one that is none."""
    for path in paths or []:
        if not path.is_dir():
            raise InputError(f"--writable {str(path)!r} is no folder; name one that exists")
    return [path.absolute() for path in paths or []]
