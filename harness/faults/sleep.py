"""The laptop's lid is shut: its network is gone and its processes stand still; at the end it wakes, and all goes on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from halfopen.faults import _dark
from halfopen.faults._scene import NoOptions, Scene
from halfopen.faults.freeze import stays_stopped, stopped
from halfopen.model.evidence import Proof, all_of
from halfopen.model.timeline import Timeline

SUMMARY = "the laptop's lid is shut"
prepare = _dark.prepare
KILLS = True
STOPS_CLIENT = True
Options = NoOptions


@contextlib.contextmanager
def fault(scene: Scene, _options: Options) -> Iterator[None]:
    """Stop the process and silently drop packets of both directions; undo both at the end."""
    with stopped(scene), _dark.cut_off(scene):
        yield


def signature(seen: Timeline) -> Proof:
    """The process is silent, and nothing gets through."""
    return all_of(Proof(stays_stopped(seen), "client stopped"), _dark.proof(seen))
