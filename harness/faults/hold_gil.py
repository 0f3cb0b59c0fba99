"""The server starves itself: a native call holds Python's global interpreter lock, and no other thread of it runs.

Nothing is wrong with the client. Its kernel acknowledges and its answers arrive, but nobody on the server takes
them in (the incident: inference calls longer than the keepalive's timeout).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from halfopen.faults import _standing
from halfopen.faults._scene import NoOptions, Scene
from halfopen.model.evidence import Proof
from halfopen.model.timeline import Timeline

Options = NoOptions
NEEDS_POD = True
#: Where it strikes (halfopen.results.story.struck).
STRIKES = "server"

#: A server that does not get to its orders within this is starved already, seconds.
_PATIENCE = 20.0


@contextlib.contextmanager
def fault(scene: Scene, _options: Options) -> Iterator[None]:
    """Have the server hold its interpreter's lock, and let go of it at the end."""
    scene.server.say("hold-gil")
    scene.server.wait_for("gil_held", _PATIENCE)
    try:
        yield
    finally:
        # Noted before it is done: what the server then writes must not look as if it came before.
        scene.note("letting_go")
        scene.server.say("")


def signature(seen: Timeline) -> Proof:
    """The server said that the lock is held, and from then on it sent not one byte, though nothing held it back."""
    held, letting_go = seen.first("target", "gil_held"), seen.first("fault", "letting_go")
    return _standing.proof(seen, held, letting_go, "hold its interpreter's lock", "interpreter's lock held")
