"""Rules of the architecture: permitted imports, each package's permitted words, and the size of files."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
#: Each folder of sources, and the name under which it is imported (src/halfopen is a link to harness/, in which are
#: links to the others).
PACKAGES = {"netns": "halfopen.netns", "scenarios": "halfopen.scenarios", "harness": "halfopen"}
OURS = {**PACKAGES, "tests": "tests", "benchmarks": "benchmarks"}
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@functools.cache
def imported(path: Path) -> list[str]:
    return list(_imported(path))


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{named(path)}: imports are absolute"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def packages_used(path: Path) -> set[str]:
    return {package for name in imported(path) if (package := package_of(name)) is not None}


def package_of(name: str) -> str | None:
    return next((folder for folder, package in OURS.items() if f"{name}.".startswith(f"{package}.")), None)


def sources_of(package: str) -> list[Path]:
    found = [path for path in SOURCES if path.is_relative_to(ROOT / package)]
    assert found
    return found


@pytest.mark.parametrize(
    ("package", "allowed"),
    [("netns", {"netns"}), ("harness", {"netns", "harness", "scenarios"}), ("scenarios", set[str]())],
)
def test_imports_point_one_way(package: str, allowed: set[str]) -> None:
    used = {named(path): packages_used(path) - allowed for path in sources_of(package)}
    assert {name: more for name, more in used.items() if more} == {}


def test_the_network_knows_nothing_of_websockets() -> None:
    assert [named(path) for path in sources_of("netns") if "websocket" in path.read_text().lower()] == []


def test_only_the_network_talks_to_the_kernel() -> None:
    kernel = {"pyroute2", "ctypes", "fcntl"}
    # The pod is under test: it queries its own socket and starves its own interpreter. Doctor explains refusals.
    exempt = {
        "harness/pod/watchdog.py": {"fcntl"},
        "harness/pod/__main__.py": {"ctypes"},
        "harness/cli/doctor.py": {"pyroute2"},
    }
    used = {
        named(path): {name.split(".")[0] for name in imported(path)} & kernel - exempt.get(named(path), set[str]())
        for path in sources_of("harness")
    }
    assert {name: more for name, more in used.items() if more} == {}


def test_files_are_small_and_say_what_they_are() -> None:
    texts = {named(path): path.read_text() for path in SOURCES}
    assert {name for name, text in texts.items() if text.count("\n") > 500} == set()
    assert {name for name, text in texts.items() if not ast.get_docstring(ast.parse(text))} == set()


@pytest.mark.parametrize("package", ["netns", "harness"])
def test_scenarios_are_data(package: str) -> None:
    assert (ROOT / package).is_dir()
    assert [named(path) for path in (ROOT / "scenarios").rglob("*.py")] == ["scenarios/__init__.py"]


def test_every_scenario_sets_its_clients_buffer() -> None:
    """Otherwise the machine determines the kernel's choice, and with it if a window ever closes."""
    for path in (ROOT / "scenarios").glob("*/*.toml"):
        text = path.read_text()
        assert "receive_buffer" in text or "autotune_to" in text, named(path)


#: Folders of plugins, and of commands: each file of one has the same names in it as the others.
PLUGINS = {"harness/faults", "harness/clients", "harness/proxies", "harness/pod/detectors"}
COMMANDS = "harness/cli"


def repeated(names: Iterator[tuple[str, Path]]) -> dict[str, list[str]]:
    places: dict[str, list[str]] = {}
    for name, path in names:
        places.setdefault(name, []).append(named(path))
    return {name: where for name, where in places.items() if len(where) > 1}


def test_no_two_public_classes_share_a_name() -> None:
    def classes() -> Iterator[tuple[str, Path]]:
        for path in SOURCES:
            # A plugin has the names that all plugins have; what they share, in files with an underscore, has its own.
            if named(path.parent) not in PLUGINS or path.stem.startswith("_"):
                for node in ast.parse(path.read_text()).body:
                    if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                        yield node.name, path

    assert repeated(classes()) == {}


def test_no_two_modules_share_a_name() -> None:
    public = (path for path in SOURCES if not path.stem.startswith("_"))
    assert repeated((path.stem, path) for path in public if named(path.parent) not in {*PLUGINS, COMMANDS}) == {}


def test_the_house_is_small_enough_to_find_ones_way() -> None:
    """Five modules beside the rooms, and 21 folders with those inside them."""
    harness = ROOT / "harness"
    assert len(list(harness.glob("*.py"))) <= 5
    folders = {path.parent for path in sources_of("harness")} - {harness}
    assert len(folders) <= 21
    assert all((folder / "__init__.py").is_file() for folder in folders)
