"""``halfopen list``: the available scenarios and plugins."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from halfopen import clients, faults, plugins, proxies
from halfopen.cli.console import console as make_console
from halfopen.pod import detectors
from halfopen.scenario import suites


def list_(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Scenarios and suites to list (default: all).")
    ] = None,
) -> int:
    """List scenarios by suite; without a name also the detectors, faults, clients and proxies."""
    table = _table("suite", "scenario", "truth", "expected", "what")
    for scenario in suites.find(names or [suites.EVERYTHING]):
        table.add_row(scenario.suite, scenario.name, scenario.truth, scenario.expect.session, scenario.title)
    console = make_console()
    console.print(table)
    for package in () if names else (detectors, faults, clients, proxies):
        table = _table(package.NOUN, "what")
        for name, summary in plugins.summaries(package).items():
            table.add_row(name, summary)
        console.print()
        console.print(table)
    return 0


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
