"""The public modules: docs/api.md names all that they offer, and nothing else."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

PUBLIC = (
    "halfopen.liveness",
    "halfopen.pod.watchdog",
    "halfopen.testing.client",
    "halfopen.testing.client_session",
    "halfopen.testing.lab_fixture",
    "halfopen.thread_dump",
)


def documented(repository: Path) -> dict[str, set[str]]:
    """The names on the page by the module that they are imported from."""
    found: dict[str, set[str]] = {}
    for module, names in re.findall(r"`from (\S+) import ([\w, ]+)`", (repository / "docs" / "api.md").read_text()):
        found.setdefault(module, set()).update(names.split(", "))
    return found


def test_every_public_name_is_documented_and_sorted(repository: Path) -> None:
    offered = {name: importlib.import_module(name).__all__ for name in PUBLIC}
    assert {name: sorted(names) for name, names in offered.items()} == offered
    assert documented(repository) == {name: set(names) for name, names in offered.items()}


def test_every_documented_name_is_there(repository: Path) -> None:
    for module, names in documented(repository).items():
        for name in names:
            assert hasattr(importlib.import_module(module), name), f"{module}.{name}"
