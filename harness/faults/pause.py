"""The server's container is paused by its engine, as ``docker pause`` and live snapshots do; at the end it goes on.

The client is healthy. The server's kernel acknowledges the client's data, but no process of the server runs. When it
goes on, its clock has leapt: an earlier ping seems to have been unanswered for long.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Literal

import msgspec

from halfopen.faults import _standing
from halfopen.faults._scene import Scene
from halfopen.model.evidence import Proof
from halfopen.model.timeline import Timeline

SUMMARY = "the server's container is paused by its engine, as docker pause and live snapshots do"
NEEDS_CONTAINER = True
STRIKES = "server"


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The method of pausing."""

    by: Literal["freezer", "sigstop"] = "freezer"
    """The engine's own pause, of all its processes; or SIGSTOP to the first, which the others may not notice."""


@contextlib.contextmanager
def fault(scene: Scene, options: Options) -> Iterator[None]:
    """Pause the container, and resume it at the end."""
    with scene.server.paused(options.by):
        # Only now, since the engine or the kernel has confirmed it.
        scene.note("paused", by=options.by)
        yield


def signature(seen: Timeline) -> Proof:
    """After the engine's confirmation the server sent no byte, though nothing held it back."""
    return _standing.proof(seen, seen.first("fault", "paused"), None, "be paused", "server paused")
