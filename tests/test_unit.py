"""``make unit`` leaves out tests marked for a lab, and fails a test that makes a lab without a mark."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.machine import needs_labs

TESTS = """
import subprocess
from halfopen.cli import app
from halfopen.netns import isolation
from tests import machine

@machine.needs_labs
def test_marked() -> None:
    raise AssertionError

@machine.needs_guest
def test_marked_too() -> None:
    raise AssertionError

def test_without_a_lab() -> None:
    pass

def test_of_a_lab() -> None:
    assert isolation.run(lambda: 0) == 0

def test_of_a_lab_further_down() -> None:
    assert subprocess.run(["unshare", "--user", "true"]).returncode == 0

def test_of_a_guest() -> None:
    assert app.call(["warp", "--", "true"]) == 0
"""


def _outcomes(folder: Path, *options: str) -> set[str]:
    file = folder / "test_some.py"
    file.write_text(TESTS)
    call = [
        sys.executable,
        "-m",
        "pytest",
        "-rN",
        "-c",
        "/dev/null",
        "--rootdir",
        str(folder),
        "-p",
        "no:cacheprovider",
    ]
    ran = subprocess.run([*call, *options, "-v", str(file)], capture_output=True, text=True, check=False)
    told = [line.partition("test_some.py::")[2] for line in ran.stdout.splitlines()]
    return {" ".join(line.split()[:2]) for line in told if line}


@needs_labs
def test_what_makes_a_lab_without_the_mark_fails(tmp_path: Path) -> None:
    assert _outcomes(tmp_path, "-p", "tests.unit") == {
        "test_without_a_lab PASSED",
        "test_of_a_lab FAILED",
        "test_of_a_lab_further_down FAILED",
        "test_of_a_guest FAILED",
    }


@needs_labs
def test_those_asked_for_are_fewer_still(tmp_path: Path) -> None:
    assert _outcomes(tmp_path, "-p", "tests.unit", "-k", "lab", "-m", "not slow") == {
        "test_without_a_lab PASSED",
        "test_of_a_lab FAILED",
        "test_of_a_lab_further_down FAILED",
    }
