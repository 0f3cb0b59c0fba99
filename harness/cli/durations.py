"""Durations on the command line."""

from __future__ import annotations

import typer

from netns import units
from netns.errors import UnitError
from netns.units import Duration


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
