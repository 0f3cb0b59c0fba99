"""Find scenarios by name, suite, file or folder."""

from __future__ import annotations

import functools
import os
import stat
import tomllib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from halfopen import scenarios
from halfopen.errors import InputError, reason_of, suggest
from halfopen.scenario.scenario_file import load
from halfopen.scenario.spec import PodSpec, Scenario

EVERYTHING = "all"
POD = "pod_5090"
"""The default suite for the pod."""
CORE = "core"
"""The default suite for any other server."""
PROFILE = "profile"
"""Suite and label of the undisturbed session."""

_FOLDER = Path(scenarios.__file__).parent


@functools.cache
def shipped() -> dict[str, list[Path]]:
    """Return the files of each suite that ships with halfopen and has scenarios of its own, by the suite's name."""
    folders = sorted(folder for folder in _FOLDER.iterdir() if folder.is_dir() and folder.name[0] != "_")
    return {folder.name: sorted(folder.glob("*.toml")) for folder in folders}


@functools.cache
def selections() -> dict[str, list[Path]]:
    """Return the scenarios of each suite that only refers to those of other suites (``scenarios/core.toml``)."""
    files = {file.stem: tomllib.loads(file.read_text()) for file in sorted(_FOLDER.glob("*.toml"))}
    return {suite: [_FOLDER / f"{name}.toml" for name in table["scenarios"]] for suite, table in files.items()}


def default(*, pod: bool) -> str:
    """Return the suite of a call that names none."""
    return POD if pod else CORE


def find(names: Sequence[str], *, pod: bool = True, exclude: Sequence[str] = ()) -> list[Scenario]:
    """Return the scenarios meant by ``names`` (none: the default suite) and not by ``exclude``, each once, in order.

    ``pod`` is True if the pod is to run them. Another server gets a single one of two that differ only for the pod.
    Raises InputError for an unknown name, for a file with an error in it, and if nothing is left.
    """
    paths: dict[str, tuple[Path, str]] = {}
    for name in names or [default(pod=pod)]:
        for path in _resolve(name, pod=pod):
            # A file has one path, however its name is written.
            paths.setdefault(os.path.realpath(path), (path.absolute(), name))
    found = [
        load(path, called=_called(path, name, pod=pod)) for path, name in _without(paths, exclude, pod=pod).values()
    ]
    return found if pod else _distinct(found)


def _without(
    paths: Mapping[str, tuple[Path, str]], exclude: Sequence[str], *, pod: bool
) -> Mapping[str, tuple[Path, str]]:
    """Return the paths that no name of ``--exclude`` means; raises InputError for a name that means none of them."""
    left = dict(paths)
    for name in exclude:
        try:
            meant = {os.path.realpath(path) for path in _resolve(name, pod=pod)}
        except InputError:
            meant = set()
        matching = {real for real, (path, _) in paths.items() if path.stem == name or real in meant}
        if not matching:
            known = {word for path, _ in paths.values() for word in (path.stem, path.parent.name)}
            raise InputError(f"--exclude {name!r}: is no scenario or suite of this call; {suggest(name, known)}")
        for real in matching & left.keys():
            del left[real]
    if not left:
        raise InputError(f"--exclude {exclude[-1]!r}: leaves nothing to run; exclude less, or name more scenarios")
    return left


def _distinct(found: Sequence[Scenario]) -> list[Scenario]:
    """Return the scenarios without those of ours that ask of a server, not the pod, the same as an earlier one."""
    kept: list[Scenario] = []
    asked: list[Scenario] = []
    for scenario in found:
        same = msgspec.structs.replace(
            scenario,
            suite="",
            called="",
            title="",
            story="",
            pod=PodSpec(required=scenario.needs_pod),
            expect=msgspec.structs.replace(scenario.expect, reason=None),
        )
        if scenario.suite not in shipped() or same not in asked:
            kept.append(scenario)
        asked.append(same)
    return kept


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


def _called(path: Path, name: str, *, pod: bool) -> str:
    """Return a name that finds the file again, alone: of ours without a suite, or with the one of ``name``.

    Of the user's files it is the relative path.
    """
    if path.is_relative_to(_FOLDER):
        named = path.stem, name, f"{name}/{path.stem}"
        return next((word for word in named if _ours(word, pod=pod) == [path]), f"{path.parent.name}/{path.stem}")
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _ours(name: str, *, pod: bool) -> list[Path]:
    """Return those of our scenarios that have this name, with or without a suite."""
    by_name = [path for suite, files in shipped().items() for path in files if name in _names(suite, path)]
    if len(by_name) > 1:
        # The pod has a table of its own. Another server gets the scenario that makes no mention of it.
        by_name = [path for path in by_name if (path.parent.name == POD) is pod] or by_name
    return by_name or [path for suite, files in selections().items() for path in files if name in _names(suite, path)]


def _resolve(name: str, *, pod: bool) -> list[Path]:
    own = shipped()
    suites = own | selections()
    if not name:
        raise InputError("a scenario's name is empty; leave it out for the default suite")
    if name == EVERYTHING:
        return [path for files in own.values() for path in files]
    if name in suites:
        return suites[name]
    if name.endswith(".toml"):
        return [Path(name)]
    by_name = _ours(name, pod=pod)
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
