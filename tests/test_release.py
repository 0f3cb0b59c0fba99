"""The workflow that publishes a release: its scripts are valid, and its calls exist."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from halfopen.netns.guest import building, cache, wheel
from tests.harness.cli.understood import understand


@pytest.fixture(scope="session")
def jobs(repository: Path) -> dict[str, Any]:
    workflow = yaml.safe_load((repository / ".github" / "workflows" / "release.yml").read_text())
    # YAML 1.1 reads the key "on" as true.
    assert workflow[True] == {"push": {"tags": ["v*"]}}
    found: dict[str, Any] = workflow["jobs"]
    return found


def scripts(job: dict[str, Any]) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


def test_every_script_is_one(jobs: dict[str, Any]) -> None:
    # A container's shell is sh.
    for job in jobs.values():
        for script in scripts(job):
            subprocess.run(["sh", "-n"], input=script, text=True, check=True)


def test_what_it_calls_by_name_is_understood(jobs: dict[str, Any]) -> None:
    lines = [line for job in jobs.values() for script in scripts(job) for line in script.splitlines()]
    found = [line.split("bin/halfopen ", 1)[1].split() for line in lines if "bin/halfopen " in line]
    assert [words[:2] for words in found] == [
        ["kernel", "build"],
        ["kernel", "wheel"],
        ["kernel", "info"],
        ["run", "--clock"],
    ]
    for words in found:
        understand(words)


def test_nothing_is_published_that_was_not_checked(jobs: dict[str, Any]) -> None:
    assert set(jobs["check"]["needs"]) == {"halfopen", "kernel"}
    assert jobs["publish"]["needs"] == "check"
    publishing = [step for step in jobs["publish"]["steps"] if "pypi-publish" in step["uses"]]
    assert [step["with"]["packages-dir"] for step in publishing] == ["dist/kernel", "dist/halfopen"]
    assert jobs["publish"]["permissions"] == {"id-token": "write"}


def test_what_is_handed_on_is_where_the_next_job_looks_for_it(jobs: dict[str, Any]) -> None:
    handed = [
        step["with"] for job in jobs.values() for step in job["steps"] if "upload-artifact" in step.get("uses", "")
    ]
    assert {one["name"] for one in handed} == {"halfopen", "kernel"}
    for name in ("halfopen", "kernel"):
        assert f"dist/{name}/" in "\n".join(scripts(jobs["check"]))
    assert {one["path"] for one in handed} == {"dist"}


def test_what_builds_a_kernel_is_installed(jobs: dict[str, Any]) -> None:
    (installing,) = (script for script in scripts(jobs["kernel"]) if "apt-get" in script)
    # Essential packages are there.
    assert set(building.TOOLS.values()) - {"tar"} <= set(installing.split())


def test_the_extra_names_a_kernel_that_labs_can_do_with(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    (needed,) = project["optional-dependencies"]["kernel"]
    name, version = re.fullmatch(r"([a-z-]+)>=([\d.]+)", needed).groups()  # type: ignore[union-attr]
    assert name == wheel.DISTRIBUTION
    assert cache.OLDEST_RECIPE <= int(version.rpartition(".")[2]) <= cache.RECIPE
    assert not [needs for needs in project["optional-dependencies"]["test"] if "kernel" in needs]
