"""The client shuts down its writing side and stays (RFC 9293, section 3.6): it listens, and will never answer again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from halfopen.faults._scene import NoOptions, Scene, order
from halfopen.model.evidence import Proof
from halfopen.model.timeline import Timeline

SUMMARY = "the client shuts down its writing side and stays"
KILLS = True
IS_FINAL = True
Options = NoOptions

#: States of a server whose peer sent its FIN first.
_PEER_CLOSED_FIRST = {"CLOSE_WAIT", "LAST_ACK", "CLOSING"}


@contextlib.contextmanager
def fault(scene: Scene, _options: Options) -> Iterator[None]:
    """Have the client send its FIN and nothing more. It cannot be undone."""
    order(scene.client, "half-close", "half_closed")
    yield


def signature(seen: Timeline) -> Proof:
    """The client sent its FIN, and the server's kernel has it: its socket is in CLOSE_WAIT, or gone."""
    if seen.first("client", "half_closed") is None:
        return Proof(False, "the client never shut down its writing side")
    if any(s.state in _PEER_CLOSED_FIRST for s in seen.samples):
        return Proof(True, "client half-closed (CLOSE_WAIT)")
    if seen.first("kernel", "destroyed", "gone"):
        return Proof(True, "client half-closed, the server's socket gone")
    return Proof(False, "the client shut down its writing side, but the server's kernel never had its FIN")
