"""The server starves itself: a native call holds Python's global interpreter lock, so none of its other threads runs.

The client is healthy. Its kernel acknowledges and its answers arrive, but the server does not read them (the incident:
inference calls longer than the keepalive's timeout).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from halfopen.faults import _standing
from halfopen.faults._scene import NoOptions, Scene, order
from halfopen.model.evidence import Proof
from halfopen.model.timeline import Timeline

SUMMARY = "the server starves itself"
Options = NoOptions
NEEDS_POD = True
STRIKES = "server"


@contextlib.contextmanager
def fault(scene: Scene, _options: Options) -> Iterator[None]:
    """Have the server hold its interpreter's lock, and release it at the end."""
    order(scene.server, "hold-gil", "gil_held")
    try:
        yield
    finally:
        # Noted before the release: the server's later writes must not seem to come before it.
        scene.note("letting_go")
        scene.server.say("")


def signature(seen: Timeline) -> Proof:
    """The server said that the lock is held, and then sent no byte, though nothing held it back."""
    held, letting_go = seen.first("target", "gil_held"), seen.first("fault", "letting_go")
    return _standing.proof(seen, held, letting_go, "hold its interpreter's lock", "interpreter's lock held")
