"""``halfopen report`` as a user runs it."""

from __future__ import annotations

from pathlib import Path

from halfopen.results import record
from tests.harness.cli.tool import POWERLESS, halfopen
from tests.harness.done import missed
from tests.harness.report import made


def test_it_prints_where_the_report_is(tmp_path: Path) -> None:
    record.check_folder(tmp_path)
    record.write(tmp_path, made.HOW, [missed()], 1.0)
    ran = halfopen("report", str(tmp_path))
    assert (ran.code, ran.out, ran.err) == (0, f"{tmp_path / 'report.html'}\n", "")
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")


def test_a_folder_without_results_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    ran = halfopen("report", str(tmp_path))
    assert ran.code == 2
    assert ran.err.startswith("halfopen: ")
    assert ran.err.count("\n") == 1


def test_a_folder_behind_a_closed_door_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    ran = halfopen("report", str(tmp_path / "closed" / "x"), under=POWERLESS)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        f"halfopen: '{tmp_path}/closed/x': cannot be read: permission denied; "
        "name a folder that 'halfopen run', 'compare' or 'grace' wrote (--out)\n"
    )
