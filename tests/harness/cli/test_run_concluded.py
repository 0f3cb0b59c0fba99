"""A run whose report cannot be made still leaves its results, and says so."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from halfopen.cli import compare, run
from halfopen.cli.executor import Presenter
from halfopen.report import folder
from halfopen.results import record
from tests.harness.done import missed
from tests.harness.report import made


def _run(out: Path) -> Presenter:
    return run._Stage(out, None, (), None, None, 1)


def _compare(out: Path) -> Presenter:
    return compare._Stage(out, None, "", None, ())


@pytest.mark.parametrize(("stage", "file"), [(_run, "results.json"), (_compare, "compare.json")])
def test_a_report_that_fails_leaves_the_results_and_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: Callable[[Path], Presenter], file: str
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(folder, "render", fail)
    record.check_folder(tmp_path)
    console = Console(file=io.StringIO(), width=120)
    with console.capture() as said, pytest.raises(RuntimeError, match="a bug of ours"):
        stage(tmp_path).conclude(console, made.HOW, [missed()], 1.0)
    assert "frozen" in said.get()
    assert str(tmp_path / file) in said.get()
    assert (tmp_path / file).exists()


def test_the_table_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_of, calls = record.as_table, []

    def counted(*given: Any) -> dict[str, Any]:
        calls.append(given)
        return made_of(*given)

    monkeypatch.setattr(record, "as_table", counted)
    record.check_folder(tmp_path)
    _run(tmp_path).conclude(Console(file=io.StringIO()), made.HOW, [missed()], 1.0)
    assert len(calls) == 1
    assert (tmp_path / "report.html").exists()
