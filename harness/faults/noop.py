"""Nothing at all: the baseline, and the file to copy for a new fault (CONTRIBUTING.md)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from halfopen.faults._scene import NoOptions, Scene
from halfopen.model.evidence import Proof
from halfopen.model.timeline import Timeline

SUMMARY = "nothing at all"
IS_FINAL = True
Options = NoOptions


@contextlib.contextmanager
def fault(_scene: Scene, _options: Options) -> Iterator[None]:
    """Do nothing, and undo nothing."""
    yield


def signature(_seen: Timeline) -> Proof:
    """No evidence is needed."""
    return Proof(True, "nothing was done")
