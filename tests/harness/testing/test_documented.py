"""The examples of docs/pytest.md and of the README, run as written."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.harness.testing.users import EXAMPLE, project, ran
from tests.machine import needs_guest


def examples(file: Path) -> list[str]:
    blocks: list[str] = re.findall(r"```python\n(.*?)```", file.read_text(), re.DOTALL)
    return [block for block in blocks if "(lab" in block]


@needs_guest
def test_each_example_passes_with_a_server_that_has_a_watchdog(pytester: pytest.Pytester, repository: Path) -> None:
    blocks = examples(repository / "docs" / "pytest.md")
    project(pytester, "\n".join(blocks), WATCHDOG=30)
    shutil.copy(repository / "tests" / "reports" / "ghost_seat" / "server.py", pytester.path / "seats.py")
    result = ran(pytester, "--halfopen-clock", "virtual", "--strict-markers")
    result.assert_outcomes(passed=len(blocks) + 1)  # one of them has two parameters


@pytest.mark.parametrize("name", ["README.md", "docs/pytest.md"])
def test_the_first_example_is_the_one_that_is_tested(repository: Path, name: str) -> None:
    assert examples(repository / name)[0] == EXAMPLE.lstrip()


def test_every_option_is_documented(repository: Path, pytester: pytest.Pytester) -> None:
    told = pytester.runpytest_subprocess("--help").stdout.str()
    options = set(re.findall(r"--halfopen-[a-z-]+", told))
    documented = set(re.findall(r"--halfopen-[a-z-]+", (repository / "docs" / "pytest.md").read_text()))
    assert options == documented
