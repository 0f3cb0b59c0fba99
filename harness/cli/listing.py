"""``halfopen list``: the available scenarios and plugins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from halfopen import clients, faults, plugins, proxies
from halfopen.cli.console import console as make_console
from halfopen.pod import detectors
from halfopen.scenario import suites
from halfopen.scenario.spec import Scenario


def list_(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Scenarios and suites to list (default: all).")
    ] = None,
) -> int:
    """List scenarios by suite, with their stories; without a name also the detectors, faults, clients and proxies."""
    table = _table("suite", "scenario", "client", "session", "story")
    for suite, name, scenario in _rows(names or [*suites.selections(), suites.EVERYTHING]):
        table.add_row(*map(escape, (suite, name, scenario.truth, scenario.expect.session, scenario.story)))
    console = make_console()
    console.print(table)
    for package in () if names else (detectors, faults, clients, proxies):
        table = _table(package.NOUN, "what")
        for name, summary in plugins.summaries(package).items():
            table.add_row(name, summary)
        console.print()
        console.print(table)
    return 0


def _rows(names: list[str]) -> Iterator[tuple[str, str, Scenario]]:
    """Yield the suite, the name in it and the scenario for each that a name may mean, for the pod or another server."""
    listed: set[tuple[str, str]] = set()
    for name in names:
        for scenario in [*suites.find([name], pod=False), *suites.find([name])]:
            refers = name in suites.selections()
            row = (name, f"{scenario.suite}/{scenario.name}") if refers else (scenario.suite, scenario.name)
            if row not in listed:
                listed.add(row)
                yield *row, scenario


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        # Only the last is folded if the table is too wide.
        table.add_column(column, overflow="fold", no_wrap=column not in {"story", "what"})
    return table
