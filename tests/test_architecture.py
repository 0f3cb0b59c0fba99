"""What the house looks like: who may import whom, what each package may speak of, and how big a file gets."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = ("netns", "harness", "scenarios", "tests", "benchmarks")
SOURCES = sorted(path for package in ("netns", "harness", "scenarios") for path in (ROOT / package).rglob("*.py"))


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{named(path)}: imports are absolute"
            assert node.module is not None
            yield node.module


def packages_used(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)} & set(OURS)


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_imports_point_one_way(path: Path) -> None:
    allowed = {"netns": {"netns"}, "harness": {"netns", "harness", "scenarios"}, "scenarios": set[str]()}
    assert packages_used(path) <= allowed[path.relative_to(ROOT).parts[0]]


@pytest.mark.parametrize("path", [p for p in SOURCES if p.is_relative_to(ROOT / "netns")], ids=named)
def test_the_network_knows_nothing_of_websockets(path: Path) -> None:
    assert "websocket" not in path.read_text().lower()


@pytest.mark.parametrize("path", [p for p in SOURCES if p.is_relative_to(ROOT / "harness")], ids=named)
def test_only_the_network_talks_to_the_kernel(path: Path) -> None:
    kernel = {"pyroute2", "ctypes", "fcntl"}
    used = {name.split(".")[0] for name in imported(path)} & kernel
    # The pod is under test: it asks of its own socket and starves its own interpreter. Doctor explains refusals.
    exempt = {
        "harness/pod/watchdog.py": {"fcntl"},
        "harness/pod/control.py": {"ctypes"},
        "harness/cli/doctor.py": {"pyroute2"},
    }
    assert used <= exempt.get(named(path), set[str]())


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_files_are_small_and_say_what_they_are(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 300
    assert ast.get_docstring(ast.parse(text))


@pytest.mark.parametrize("package", ["netns", "harness"])
def test_scenarios_are_data(package: str) -> None:
    assert (ROOT / package).is_dir()
    assert [named(path) for path in (ROOT / "scenarios").rglob("*.py")] == ["scenarios/__init__.py"]


def test_every_scenario_sets_its_clients_buffer() -> None:
    """What the kernel would choose depends on the machine, and with it whether a window ever closes."""
    for path in (ROOT / "scenarios").rglob("*.toml"):
        text = path.read_text()
        assert "receive_buffer" in text or "autotune_to" in text, named(path)
