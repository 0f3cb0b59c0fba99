"""The client resets the connection in the middle of a message: half of it was sent, and the rest never comes.

A crash of a browser with unread data does that (RFC 2525, section 2.17), and programs that close with SO_LINGER of 0 s.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from halfopen.faults._scene import NoOptions, Scene, order
from halfopen.model.evidence import Proof
from halfopen.model.timeline import Timeline

SUMMARY = "the client resets the connection in the middle of a message"
KILLS = True
IS_FINAL = True
Options = NoOptions


@contextlib.contextmanager
def fault(scene: Scene, _options: Options) -> Iterator[None]:
    """Have the client send half a message and reset the connection. It cannot be undone."""
    order(scene.client, "reset", "reset")
    yield


def signature(seen: Timeline) -> Proof:
    """The client sent half a message and a reset, which the server's kernel received: the connection is gone."""
    cut = seen.first("client", "reset")
    if cut is None:
        return Proof(False, "the client was to reset the connection, but it did not")
    if not seen.first("kernel", "destroyed", "gone") and not any(s.state == "CLOSE" for s in seen.samples):
        return Proof(False, "the client reset the connection, but the server's kernel never learned of it")
    return Proof(True, f"connection reset after {cut.data['sent']} of a message's {cut.data['of']} bytes")
