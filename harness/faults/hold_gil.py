"""The server starves itself: a native call holds Python's global interpreter lock, and no other thread of it runs.

Nothing is wrong with the client. Its kernel acknowledges and its answers arrive, but nobody on the server takes
them in (the incident: inference calls longer than the keepalive's timeout).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from harness.evidence import Proof, established
from harness.faults._scene import NoOptions, Scene
from harness.timeline import Timeline
from netns.units import show_duration

Options = NoOptions
NEEDS_POD = True

#: From the server's word to the lock another thread may still get in between, seconds.
_TAKING = 0.2
#: Of samples; fewer show nothing.
_FEWEST = 10
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
    held = seen.first("target", "gil_held")
    if held is None:
        return Proof(False, "the server was to hold its interpreter's lock, but never said so")
    letting_go = seen.first("fault", "letting_go")
    until = letting_go.t if letting_go else float("inf")
    samples = [s for s in established(seen) if held.t + _TAKING < s.t < until]
    written = {s.outq + s.bytes_acked for s in samples if s.bytes_acked is not None}
    if len(samples) < _FEWEST:
        return Proof(False, "the server was to hold its interpreter's lock, but not for long enough to tell")
    if len(written) != 1:
        sent = max(written, default=0) - min(written, default=0)
        return Proof(False, f"the server was to hold its interpreter's lock, but wrote {sent} bytes meanwhile")
    return Proof(True, f"interpreter's lock held for {show_duration(samples[-1].t - held.t)}, nothing written")
