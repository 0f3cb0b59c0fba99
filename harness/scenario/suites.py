"""Find scenarios by name, suite, file or folder."""

from __future__ import annotations

import stat
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from halfopen import scenarios
from halfopen.errors import InputError, reason_of, suggest
from halfopen.scenario.spec import Scenario, load

EVERYTHING = "all"
DEFAULT = "pod_5090"
PROFILE = "profile"
"""Suite and label of the undisturbed session."""

_FOLDER = Path(scenarios.__file__).parent


def shipped() -> dict[str, list[Path]]:
    """Return the files of each suite that ships with halfopen, by the suite's name."""
    folders = sorted(folder for folder in _FOLDER.iterdir() if folder.is_dir() and folder.name[0] != "_")
    return {folder.name: sorted(folder.glob("*.toml")) for folder in folders}


def find(names: list[str]) -> list[Scenario]:
    """Return the scenarios meant by ``names`` (none: the default suite), each once, in the order given.

    Raises InputError for an unknown name, and for a file with an error in it.
    """
    paths = dict.fromkeys(path.absolute() for name in names or [DEFAULT] for path in _resolve(name))
    return [load(path, called=_called(path)) for path in paths]


def profile() -> Scenario:
    """Return the scenario of an undisturbed session. No name finds it."""
    return load(_FOLDER / "_profile" / "profile.toml", called=PROFILE)


def tell_apart(found: Sequence[Scenario]) -> list[str]:
    """Return a distinct label for each scenario: its name, with the suite if another suite has that name too."""
    suites_with: dict[str, set[str]] = defaultdict(set)
    for scenario in found:
        suites_with[scenario.name].add(scenario.suite)
    return [
        scenario.name if len(suites_with[scenario.name]) == 1 else f"{scenario.suite}/{scenario.name}"
        for scenario in found
    ]


def _called(path: Path) -> str:
    """Return the shortest name that finds the file again: suite and name for ours, the relative path for the user's."""
    if path.is_relative_to(_FOLDER):
        return f"{path.parent.name}/{path.stem}"
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _resolve(name: str) -> list[Path]:
    suites = shipped()
    if not name:
        raise InputError("a scenario's name is empty; leave it out for the default suite")
    if name == EVERYTHING:
        return [path for files in suites.values() for path in files]
    if name in suites:
        return suites[name]
    if name.endswith(".toml"):
        return [Path(name)]
    by_name = [path for suite, files in suites.items() for path in files if name in _names(suite, path)]
    # A bare name means the default suite's scenario, if that suite has one.
    by_name = [path for path in by_name if path.parent.name == DEFAULT] or by_name
    if by_name:
        return by_name
    folder = Path(name)
    if not _is_folder(folder):
        known = [EVERYTHING, *suites, *(path.stem for files in suites.values() for path in files)]
        raise InputError(f"no scenario, suite, file or folder is called {name!r}; {suggest(name, set(known))}")
    found = sorted(folder.rglob("*.toml"))
    if not found:
        raise InputError(f"folder {name!r} holds no scenario file (*.toml)")
    return found


def _is_folder(path: Path) -> bool:
    """True if the folder exists; raises InputError if it may not be read."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise InputError(
            f"{str(path)!r} cannot be read: {reason_of(error)}; "
            "name a scenario, a suite, or a file or folder that can be"
        ) from None


def _names(suite: str, path: Path) -> tuple[str, str]:
    return path.stem, f"{suite}/{path.stem}"
