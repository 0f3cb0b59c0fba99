"""The results that there are when a guest is lost, or something of ours fails, are written."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from halfopen.cli import executor, run
from halfopen.cli.ci import CiOptions
from halfopen.cli.executor import Executor, Presenter
from halfopen.cli.placement import Placement
from halfopen.errors import TargetError
from halfopen.netns.lab_errors import GuestLostError
from halfopen.results import record
from halfopen.run.request import RunRequest
from tests.harness.cli.tool import results
from tests.harness.done import missed
from tests.harness.report import made


def executed(out: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Run two jobs, of which the first gets a result and the second ends with the error."""
    result = missed()

    def run_all(_jobs: Any, _views: Any, _at_once: int, on_done: Callable[[Any], None], _on_slow: object) -> None:
        on_done(result)
        raise error

    monkeypatch.setattr(executor, "run_all", run_all)
    record.check_folder(out)
    ci = CiOptions(write_baseline=out / "baseline.toml")
    presenter = Presenter(partial(run.conclude, out=out, ci=ci, count=2))
    request = RunRequest(seed=1, grace=30, poll=2)
    jobs = [result.job, missed().job]
    with pytest.raises(type(error)):
        Executor(request, jobs, Placement("real", None), made.HOW, out, presenter)._run(1)


@pytest.mark.parametrize("error", [GuestLostError("gone"), ZeroDivisionError()])
def test_results_from_before_an_error_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    executed(tmp_path, monkeypatch, error)
    assert [each["scenario"] for each in results(tmp_path)["runs"]] == ["frozen"]
    assert (tmp_path / "junit.xml").exists()
    assert (tmp_path / "report.html").exists()
    assert "1 of 2 runs have results" in capsys.readouterr().out
    assert not (tmp_path / "baseline.toml").exists()  # which would lack the other


def test_a_wrong_input_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executed(tmp_path, monkeypatch, TargetError("the server does not start"))
    assert not (tmp_path / "results.json").exists()
