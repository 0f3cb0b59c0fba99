from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from halfopen.netns import bug_report
from halfopen.netns.bug_report import ForeignError


def test_an_error_of_another_process_keeps_its_own_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    said = bug_report.sentence(ForeignError("KeyError: 7", "Traceback there\n"))
    (file,) = tmp_path.iterdir()
    assert said == f"internal error: KeyError: 7; report it, with the traceback in {file}"
    assert file.read_text() == "Traceback there\n"


def test_a_long_message_is_cut_and_stays_on_one_line() -> None:
    said = bug_report.summary(ValueError("x\n" * 1000))
    assert said.startswith("ValueError: x x")
    assert len(said) < 310


def test_an_error_is_told_also_where_no_file_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    said = bug_report.sentence(ValueError("x"))
    assert said.startswith("internal error: ValueError: x; report it (no traceback can be written: ")
