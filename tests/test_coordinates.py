"""The project's home is that of pyproject.toml everywhere: documents, action, workflows, code, what `init` writes."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import halfopen
from halfopen.cli import init
from halfopen.scenario.target_spec import TargetSpec

#: A repository of this name with its owner, in an address, a workflow's ``uses:``, or a badge.
_NAMED = re.compile(r"(?:github\.com/|githubusercontent\.com/|uses:\s*)([\w.<>${}-]+/halfopen)\b(?:@(\S+))?")
_PLACEHOLDER = re.compile(r"\b(OWNER|YOUR-?ORG|EXAMPLE-ORG)\b")


@pytest.fixture(scope="module")
def project(repository: Path) -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    return table


@pytest.fixture(scope="module")
def home(project: dict[str, Any]) -> str:
    address: str = project["urls"]["Repository"]
    return address.removeprefix("https://github.com/")


def texts(repository: Path) -> Iterator[tuple[str, str]]:
    patterns = ("*.md", "action.yml", "docs/**/*.md", ".github/**/*.yml", "harness/**/*.py", "examples/**/*.md")
    for pattern in patterns:
        for path in repository.glob(pattern):
            yield str(path.relative_to(repository)), path.read_text()
    for number, text in enumerate((init.workflow_text(TargetSpec(server="serve"), Path(), Path()),)):
        yield f"what init writes ({number})", text


def test_every_address_of_the_project_is_its_home(repository: Path, home: str) -> None:
    found = [(name, match[1]) for name, text in texts(repository) for match in _NAMED.finditer(text)]
    assert {name for name, _ in found} >= {"README.md", "docs/ci.md", "docs/tutorial.md", "what init writes (0)"}
    assert [(name, address) for name, address in found if address != home] == []
    assert home == "halfopen/halfopen"


def test_every_version_that_is_named_with_it_is_the_projects(repository: Path, project: dict[str, Any]) -> None:
    versions = {
        (name, match[2].rstrip('"')) for name, text in texts(repository) for match in _NAMED.finditer(text) if match[2]
    }
    assert versions
    assert {version for _, version in versions} <= {f"v{project['version']}", f"v{halfopen.__version__}"}


def test_no_placeholder_is_left(repository: Path) -> None:
    assert [name for name, text in texts(repository) if _PLACEHOLDER.search(text)] == []


def test_a_foreign_address_would_be_found() -> None:
    for text in ("git clone https://github.com/OWNER/halfopen", "- uses: me/halfopen@v0.1.0"):
        (match,) = _NAMED.finditer(text)
        assert match[1] in {"OWNER/halfopen", "me/halfopen"}


def test_the_other_addresses_are_below_the_home(project: dict[str, Any]) -> None:
    home = project["urls"]["Repository"]
    assert all(address.startswith(home) for address in project["urls"].values())
    assert home == halfopen.REPOSITORY


def extras(project: dict[str, Any]) -> set[str]:
    """Return the extras for users."""
    return set(project["optional-dependencies"]) - {"test", "lint", "dev"}


def test_the_readme_has_a_table_of_all_extras(repository: Path, project: dict[str, Any]) -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\|$", (repository / "README.md").read_text(), re.MULTILINE)
    assert set(rows) >= extras(project)


def test_only_extras_that_exist_are_named(repository: Path, project: dict[str, Any]) -> None:
    named = {
        (name, extra)
        for name, text in texts(repository)
        for match in re.findall(r"halfopen\[([\w,]+)\]", text)
        for extra in match.split(",")
    }
    assert {extra for _, extra in named} >= extras(project)
    assert {(name, extra) for name, extra in named if extra not in project["optional-dependencies"]} == set()
