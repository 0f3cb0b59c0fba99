"""The same user comes from elsewhere and takes the seat: the pod closes the first session with code 4001.

The second client closes properly before the fault is done. Only the built-in pod supports it (``?preempt=1``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from halfopen.faults._scene import NoOptions, Scene, order
from halfopen.model.evidence import Proof
from halfopen.model.timeline import Timeline

SUMMARY = "the same user comes from elsewhere and takes the seat"
IS_FINAL = True
Options = NoOptions
NEEDS_POD = True
ENDS_SESSION = True
STRIKES = "server"

#: Close code of the pod (halfopen.pod.server), from those that RFC 6455 (section 7.4.2) leaves to applications.
PREEMPTED = 4001


@contextlib.contextmanager
def fault(scene: Scene, _options: Options) -> Iterator[None]:
    """Connect a second client that requests the seat, and have it leave. It cannot be undone."""
    with scene.rival("preempt=1") as rival:
        order(rival, "close", "ended")
    yield


def signature(seen: Timeline) -> Proof:
    """A second client came, and the first received the close code of preemption."""
    if seen.first("rival", "opened") is None:
        return Proof(False, "a second client was to take the seat, but none came")
    told = seen.first("client", "close_received")
    if told is None or told.data.get("code") != PREEMPTED:
        code = f"code {told.data.get('code')}" if told else "nothing"
        return Proof(False, f"the client was to be told that its seat is taken ({PREEMPTED}), but was told {code}")
    return Proof(True, f"seat taken by a second client, close frame with {PREEMPTED}")
