"""The proxy in front of the server restarts, as for a deployment or after a crash. All connections end at once.

It is down for the step's ``for``. Meanwhile its host refuses connections, as a port without a listener does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Literal

import msgspec

from halfopen.faults._scene import Scene
from halfopen.model.evidence import Proof
from halfopen.model.timeline import Timeline

SUMMARY = "the proxy in front of the server restarts, and every connection ends"
STRIKES = "server"
KILLS = True
ENDS_SESSION = True


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The way in which it ends."""

    by: Literal["term", "kill"] = "term"
    """SIGTERM, as for a deployment; or SIGKILL, as the out-of-memory killer sends it."""


@contextlib.contextmanager
def fault(scene: Scene, options: Options) -> Iterator[None]:
    """End the proxy; start it again at the end. Returns once it is gone."""
    with scene.server.edge_down(options.by):
        scene.note("edge_down", by=options.by)
        yield
    scene.note("edge_up")


def signature(seen: Timeline) -> Proof:
    """The proxy ended, and the server's kernel learned of it: the connection is not open both ways."""
    if seen.first("fault", "edge_down") is None:
        return Proof(False, "the proxy in front was to end, but it did not")
    if all(s.state == "ESTABLISHED" for s in seen.samples) and not seen.first("kernel", "destroyed", "gone"):
        return Proof(False, "the proxy in front ended, but its connection with the server stayed open")
    return Proof(True, "the proxy in front ended, its kernel closed the connection")
