"""The client closes as the protocol wants it (RFC 6455, section 7.1.2): the user who leaves by the door."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from harness.evidence import ENDED_STATES, Proof
from harness.faults._scene import NoOptions, Scene
from harness.timeline import Timeline

Options = NoOptions

#: Longer than any server's closing handshake should take, seconds; websockets gives up after 10.
_PATIENCE = 20.0


@contextlib.contextmanager
def fault(scene: Scene, _options: Options) -> Iterator[None]:
    """Have the client start the closing handshake. It cannot be undone."""
    scene.client.say("close")
    scene.client.wait_for("closing", _PATIENCE)
    yield


def signature(seen: Timeline) -> Proof:
    """The client sent its close frame, the server answered it, and the connection ended."""
    if seen.first("client", "closing") is None:
        return Proof(False, "the client sent no close frame")
    ended = seen.first("client", "ended")
    if ended is None or ended.data.get("code") != 1000:
        got = "nothing" if ended is None else f"{ended.data.get('code') or ended.data['how']}"
        return Proof(False, f"the server was to answer the close frame with 1000, the client saw {got}")
    if not any(s.state in ENDED_STATES for s in seen.samples) and not seen.first("kernel", "destroyed"):
        return Proof(False, "the server's socket stayed open after the closing handshake")
    return Proof(True, "closing handshake completed with 1000")
