"""The wheel, made of the source distribution: it installs one name, and a project may have packages with our names."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.machine import needs_labs

pytestmark = needs_labs

PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
GRACE, POLL = "2s", "200ms"

TESTS = """
import harness, netns, scenarios

def test_our_own_packages_are_ours():
    assert (harness.OURS, netns.OURS, scenarios.OURS) == (True, True, True)

def test_a_frozen_client_gives_its_seat_back(lab):
    client = lab.connect(lab.pod())
    client.freeze()
    assert lab.session(client).reaped()
"""


def run(*command: str | Path, cwd: Path, code: int = 0, **environment: str) -> str:
    outer = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST"))}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=outer | environment)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(*PIP, "install", "--target", folder / "hatchling", "hatchling", cwd=folder)
    build = (sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", folder)
    run(*build, cwd=repository, PYTHONPATH=str(folder / "hatchling"))
    (source,) = folder.glob("halfopen-*.tar.gz")
    run(*PIP, "wheel", "--no-deps", "--wheel-dir", folder, source, cwd=folder)
    (made,) = folder.glob("halfopen-*.whl")
    return made


def test_a_project_with_packages_of_the_same_names_runs_its_tests_and_a_lab(wheel: Path, tmp_path: Path) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv", cwd=tmp_path)
    run(*PIP, "--python", tmp_path / "venv", "install", wheel, "pytest", cwd=tmp_path)
    project = tmp_path / "project"
    for name in ("harness", "netns", "scenarios"):
        (project / name).mkdir(parents=True)
        (project / name / "__init__.py").write_text("OURS = True\n")
    (project / "test_it.py").write_text(TESTS)
    said = run(
        python, "-m", "pytest", "--halfopen-grace", GRACE, "--halfopen-poll", POLL, "--halfopen-clock=real", cwd=project
    )
    assert "2 passed" in said
    for name in ("harness", "netns", "scenarios"):
        assert f"No module named '{name}'" in run(python, "-c", f"import {name}", cwd=tmp_path, code=1)


def test_all_that_is_installed_is_below_one_name(wheel: Path, repository: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"halfopen"}
    for folder, below in (("harness", ""), ("netns", "netns/"), ("scenarios", "scenarios/")):
        ours = {
            f"halfopen/{below}{path.relative_to(repository / folder)}"
            for path in (repository / folder).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        assert ours
        assert ours <= names
