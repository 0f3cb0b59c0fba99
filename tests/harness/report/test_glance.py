"""All runs together: the same header, cells and sums as at the terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.text import Text

from halfopen.cli import grid, screen
from halfopen.report import glance
from halfopen.report.entries import entry, runs_of
from halfopen.results import comparison
from halfopen.run.runner import RunResult
from tests.harness.done import missed
from tests.harness.report import made


def test_the_headline_is_the_terminals() -> None:
    assert glance.headline(made.table([missed()])) == screen.header(made.HOW)


@pytest.mark.parametrize("one", [missed(), made.reaped(), made.kept()])
def test_a_cell_is_the_terminals(one: RunResult) -> None:
    (run,) = comparison.as_table(made.HOW, [one], 1.0)["runs"]
    assert glance.cell(run) == grid.cell(one)


def test_the_headline_of_a_comparison_is_the_terminals() -> None:
    table = comparison.as_table(made.HOW, made.compared(), 1.0)
    against = glance.compared([entry(run, 30, ()) for run in runs_of(table)])
    assert glance.headline(table, against) == screen.header(made.HOW, compared="2 detectors against 2 scenarios")


def test_a_run_without_a_session_is_a_cell_too() -> None:
    assert glance.cell({"verdict": "failed", "class": None}) == "!"
    assert glance.cell({"verdict": "inconclusive", "class": None}) == "?"


def test_the_grid_has_a_row_for_each_and_a_column_for_each_scenario() -> None:
    runs = runs_of(comparison.as_table(made.HOW, made.compared(), 1.0))
    (block,) = glance.blocks([(run, entry(run, 30, ())) for run in runs])
    assert block.scenarios == ("frozen", "active")
    assert [(who, [cell and cell.text for cell in row]) for who, row in block.rows] == [
        ("none", ["M", "k"]),
        ("bytes-acked", ["31", "k"]),
    ]


def test_the_sums_are_the_terminals() -> None:
    done = made.compared()
    stream = io.StringIO()
    Console(file=stream, width=100).print(grid.summary(done))
    printed = [line.split() for line in Text(stream.getvalue()).plain.splitlines()]
    sums = glance.summary(comparison.as_table(made.HOW, done, 1.0))
    assert tuple(printed[0]) == glance.SUMMARY_HEADS
    assert [[name, *" ".join(numbers).split()] for name, numbers in sums] == printed[1:]


def test_counts_are_of_what_there_is_the_worst_first() -> None:
    entries = [entry(run, 30, ()) for run in runs_of(made.table([made.kept(), missed(), made.kept()]))]
    assert [(one.number, one.words) for one in glance.counts(entries)] == [(1, "failed"), (2, "passed")]
