"""``halfopen list``: the available scenarios."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from halfopen import plugins
from halfopen.cli.console import console as make_console
from halfopen.pod import detectors
from halfopen.scenario import suites


def list_(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Scenarios and suites to list (default: all).")
    ] = None,
) -> int:
    """List scenarios by suite, and the pod's detectors."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("suite", "scenario", "truth", "expected", "what"):
        table.add_column(column, overflow="fold")
    for scenario in suites.find(names or [suites.EVERYTHING]):
        table.add_row(scenario.suite, scenario.name, scenario.truth, scenario.expect.session, scenario.title)
    console = make_console()
    console.print(table)
    console.print(f"\ndetectors: {', '.join(plugins.names(detectors))}")
    return 0
