"""A run in a GitHub job: annotated, summarized, and with the same exit code as anywhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.harness.cli.tool import Ran, halfopen
from tests.machine import needs_guest

WEDGED = ("run", "frozen", "active", "--detector", "none", "--clock", "virtual", "--seed", "7")


def ran(out: Path, summary: Path | None) -> Ran:
    there = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": "" if summary is None else str(summary)}
    return halfopen(*WEDGED, "--out", str(out), env=os.environ | there)


@needs_guest
def test_a_failure_is_annotated_and_added_to_the_summary(tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("from a step before\n")
    done = ran(tmp_path, summary)
    assert done.code == 1
    (line,) = done.err.splitlines()
    assert line.startswith("::error title=halfopen%3A frozen::session still held 84s after the freeze began: ")
    assert "%0Aagain:   halfopen run frozen --seed 7 " in line
    text = summary.read_text()
    assert text.startswith("from a step before\n## halfopen: 1 passed, 1 failed in ")
    assert "seed 7" in text
    assert "\nagain:   halfopen run frozen --seed 7 " in text


@needs_guest
def test_a_summary_that_cannot_be_written_is_a_warning_and_changes_no_exit_code(tmp_path: Path) -> None:
    done = ran(tmp_path, tmp_path)
    assert done.code == 1
    assert done.err.splitlines()[-1] == (
        "::warning title=halfopen::the job's summary could not be written: is a directory"
    )


@needs_guest
def test_without_a_summary_there_are_annotations_alone(tmp_path: Path) -> None:
    done = ran(tmp_path, None)
    assert (done.code, len(done.err.splitlines())) == (1, 1)


@pytest.mark.parametrize(("there", "lines"), [("true", 2), ("false", 1), ("", 1)])
def test_a_call_that_is_refused_is_annotated_there_and_nowhere_else(there: str, lines: int) -> None:
    done = halfopen("run", "frozne", env=os.environ | {"GITHUB_ACTIONS": there})
    assert (done.code, len(done.err.splitlines())) == (2, lines)
    if there == "true":
        assert done.err.splitlines()[1].startswith(
            "::error title=halfopen::no scenario, suite, file or folder is called"
        )
