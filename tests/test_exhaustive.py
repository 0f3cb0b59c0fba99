"""Exhaustive runs: `make test` skips them, a weekly workflow runs them, and CONTRIBUTING.md lists their substitutes."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

_MARK = "mark.exhaustive"


@pytest.fixture(scope="module")
def workflow(repository: Path) -> dict[str, Any]:
    # YAML 1.1 reads the key "on" as true.
    text = (repository / ".github" / "workflows" / "exhaustive.yml").read_text().replace("\non:\n", '\n"on":\n')
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def _steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def _calls_of_pytest(repository: Path, target: str) -> list[str]:
    """Return the target's calls of pytest."""
    printed = subprocess.run(["make", "-n", target], cwd=repository, capture_output=True, text=True, check=True).stdout
    return [line for line in printed.splitlines() if "-m pytest" in line]


def test_the_workflow_is_scheduled_and_can_be_asked_for(workflow: dict[str, Any]) -> None:
    assert set(workflow["on"]) == {"schedule", "workflow_dispatch"}
    for entry in workflow["on"]["schedule"]:
        assert len(entry["cron"].split()) == 5


def test_the_workflow_runs_all_tests_and_forgives_no_skip(workflow: dict[str, Any]) -> None:
    scripts = [step["run"] for step in _steps(workflow) if "run" in step]
    (last,) = [script for script in scripts if "make" in script]
    assert last.endswith("make test-all")
    assert "CI=true" in last
    for script in scripts:
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
        assert "${{" not in script


def test_make_test_leaves_them_out_and_test_all_does_not(repository: Path) -> None:
    test, everything = (_calls_of_pytest(repository, target) for target in ("test", "test-all"))
    assert len(test) == len(everything) == 2
    assert all("and not exhaustive" in call for call in test)
    assert not any("exhaustive" in call for call in everything)


def test_each_is_listed_with_what_stands_for_it(repository: Path) -> None:
    """The table names existing files and tests in them."""
    page = (repository / "CONTRIBUTING.md").read_text()
    rows = [line for line in page[page.index("| exhaustive ") :].splitlines()[2:] if line.startswith("| ")]
    marked = {
        str(path.relative_to(repository / "tests"))
        for path in (repository / "tests").rglob("test_*.py")
        if _MARK in path.read_text() and path != Path(__file__)
    }
    listed = {found for row in rows for found in re.findall(r"`([\w/]+\.py)", row.split("|")[1])}
    assert listed == marked
    for row in rows:
        for file, _, name in re.findall(r"`([\w/]+\.py)(::(\w+))?`", row):
            source = (repository / "tests" / file).read_text()
            assert not name or f"def {name}(" in source, (file, name)
        assert re.search(r"`[\w/]+\.py", row.split("|")[3]), row
