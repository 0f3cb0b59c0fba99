"""Options of the command line, and parsers for their values: durations, sizes, folders."""

from __future__ import annotations

import enum
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import typer

from halfopen.errors import InputError
from halfopen.netns import units
from halfopen.netns.lab_errors import UnitError
from halfopen.netns.units import ByteRate, Duration, Share, Size

_T = TypeVar("_T")


def option(panel: str | None, metavar: str | None, text: str, *names: str, **more: Any) -> Any:
    """Return an option of a panel in ``--help``; None: the first panel. ``more`` is for typer."""
    return typer.Option(*names, metavar=metavar, help=text, rich_help_panel=panel, **more)


def duration(panel: str | None, text: str, *names: str) -> Any:
    """Return an option for a duration."""
    return option(panel, "DURATION", text, *names, parser=positive_duration)


def positive_duration(text: str) -> Duration:
    """Parse a duration that may not be zero; raises typer.BadParameter."""
    seconds = _positive(units.duration, text)
    if seconds > units.LONGEST:
        raise typer.BadParameter(f"must be at most {units.show_duration(units.LONGEST)}: got {text!r}")
    return seconds


def positive_rate(text: str) -> ByteRate:
    """Parse a rate of bytes that may not be zero; raises typer.BadParameter."""
    return _positive(units.byte_rate, text)


def positive_share(text: str) -> Share:
    """Parse a share that may not be zero; raises typer.BadParameter."""
    return _positive(units.share, text)


def _positive(parse: Callable[[object], _T], text: str) -> _T:
    value = _read(parse, text)
    if not value:
        raise typer.BadParameter(f"must be more than nothing: got {text!r}")
    return value


def _read(parse: Callable[[object], _T], text: str) -> _T:
    try:
        return parse(text)
    except UnitError as error:
        raise typer.BadParameter(str(error)) from None


class ReapBy(enum.StrEnum):
    """Ways to end a dead client's connection."""

    SHUTDOWN = "shutdown"
    RESET = "reset"


class PodApiName(enum.StrEnum):
    """APIs of websockets that the pod is built on."""

    SYNC = "sync"
    ASYNCIO = "asyncio"


#: Largest seed of a guest's kernel (halfopen.netns.guest.patches.seeding).
MOST_SEED = 2**64 - 1
#: Less cannot hold a Python and its server. No laptop has more.
_LEAST_MEMORY, _MOST_MEMORY = 128 << 20, 64 << 30


def memory(text: str) -> Size:
    """Parse the size of a guest's memory; raises typer.BadParameter."""
    size = _read(units.size, text)
    if not _LEAST_MEMORY <= size <= _MOST_MEMORY:
        raise typer.BadParameter(f"must be between {_LEAST_MEMORY >> 20}MiB and {_MOST_MEMORY >> 20}MiB: got {text!r}")
    return size


def writable_folders(paths: list[Path] | None) -> list[Path]:
    """Return the folders of ``--writable``; raises InputError if one is not a readable folder."""
    for path in paths or []:
        # Path.is_dir would raise for a path that it may not read.
        if not os.path.isdir(path):  # noqa: PTH112
            raise InputError(
                f"--writable {str(path)!r}: is not a readable folder; name one that exists and can be read"
            )
    return [path.absolute() for path in paths or []]
