"""Find target files, and ask their servers for versions."""

from __future__ import annotations

import os
import subprocess
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

from halfopen.errors import InputError
from halfopen.scenario import target_spec
from halfopen.scenario.target_spec import TargetSpec

_LEAVE_ALONE = frozenset({"node_modules", "__pycache__"})
#: Seconds that a command may take to print its versions.
_PATIENCE = 60.0


def find(paths: Sequence[Path]) -> list[TargetSpec]:
    """Return the servers in these files, and in those files of these folders that have a ``[target]``, each name once.

    Raises InputError for a file that describes none.
    """
    if not paths:
        raise InputError("no target file given; name target files, or folders of them, such as examples/")
    specs = [target_spec.load(file) for path in paths for file in _files(path)]
    seen: dict[str, TargetSpec] = {}
    for spec in specs:
        spec.check()
        other = seen.setdefault(spec.name, spec)
        if other is not spec:
            raise InputError(f"two servers would both be called {spec.name!r}: {other.file} and {spec.file}")
    return specs


def _files(path: Path) -> list[Path]:
    # Not Path.is_dir, which raises if it may not read the folder. target_spec.load reports that.
    if not os.path.isdir(path):  # noqa: PTH112
        return [path]
    found = [file for file in sorted(_toml_files(path)) if _has_target(file)]
    if not found:
        raise InputError(f"{path}: no file in this folder has a [target] table; see docs/targets.md")
    return found


def _toml_files(folder: Path) -> Iterator[Path]:
    for file in folder.rglob("*.toml"):
        parents = file.relative_to(folder).parts[:-1]
        if not any(part in _LEAVE_ALONE or part.startswith(".") for part in parents):
            yield file


def _has_target(file: Path) -> bool:
    """True if the file has a ``[target]`` table, or cannot be read: target_spec.load reports that."""
    try:
        return "target" in tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return True


def versions(spec: TargetSpec) -> str:
    """Return the output of the target's versions command, empty if it has none. Raises InputError if it fails."""
    if spec.versions is None:
        return ""
    try:
        done = subprocess.run(
            target_spec.split(spec.versions),
            cwd=spec.folder,
            env=os.environ | spec.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(_failed(spec, str(error))) from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise InputError(_failed(spec, last))
    return " ".join(done.stdout.split())


def _failed(spec: TargetSpec, why: str) -> str:
    return f"{spec.file}: the command of key 'target.versions' failed: {spec.versions!r}: {why}"
