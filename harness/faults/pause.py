"""The server's container is paused by its engine, as ``docker pause`` and live snapshots do; at the end it goes on.

Nothing is wrong with the client. The server's kernel acknowledges what the client sends, but no process of the server
runs, and when it goes on its clock has leapt: a ping sent before looks as if it had gone unanswered for long.
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

NEEDS_CONTAINER = True
#: Where it strikes (halfopen.results.story.struck).
STRIKES = "server"


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How it is done."""

    by: Literal["freezer", "sigstop"] = "freezer"
    """The engine's own pause, of all its processes; or SIGSTOP to the first of them, which others may not notice."""


@contextlib.contextmanager
def fault(scene: Scene, options: Options) -> Iterator[None]:
    """Pause the container, have it go on at the end."""
    with scene.server.paused(options.by):
        # Not before: the engine, or the kernel, has said that it is so.
        scene.note("paused", by=options.by)
        yield


def signature(seen: Timeline) -> Proof:
    """From the engine's word on the server sent not one byte, though nothing held it back."""
    return _standing.proof(seen, seen.first("fault", "paused"), None, "be paused", "server paused")
