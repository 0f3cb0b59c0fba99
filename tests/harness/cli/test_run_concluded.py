"""A run whose report cannot be made still leaves its results, and says so."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from halfopen.cli import compare, run
from halfopen.cli.ci import CiOptions
from halfopen.report import folder
from halfopen.results import record
from tests.harness.done import missed
from tests.harness.report import made

conclude_run = partial(run.conclude, ci=CiOptions(), count=1)


@pytest.mark.parametrize(("conclude", "file"), [(conclude_run, "results.json"), (compare.conclude, "compare.json")])
def test_a_report_that_fails_leaves_the_results_and_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, conclude: Callable[..., int], file: str
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(folder, "render", fail)
    record.check_folder(tmp_path)
    console = Console(file=io.StringIO(), width=120)
    with console.capture() as said, pytest.raises(RuntimeError, match="a bug of ours"):
        conclude(console, made.HOW, [missed()], 1.0, out=tmp_path)
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
    conclude_run(Console(file=io.StringIO()), made.HOW, [missed()], 1.0, out=tmp_path)
    assert len(calls) == 1
    assert (tmp_path / "report.html").exists()
