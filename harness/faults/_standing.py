"""Proof that a server stands still: it, or the engine that stopped it, says so, and no byte is written meanwhile."""

from __future__ import annotations

from halfopen.model.evidence import Proof, established
from halfopen.model.timeline import Event, Timeline
from halfopen.netns.units import show_duration

#: Seconds after the event in which another thread may still write.
_TAKING = 0.2
#: Fewest samples; fewer prove nothing.
_FEWEST = 10


def proof(seen: Timeline, begun: Event | None, over: Event | None, was_to: str, did: str) -> Proof:
    """Check that from ``begun`` until ``over`` (None: to the end) the server sent nothing, though nothing held it back.

    ``was_to`` is the intended action, ``did`` the text if it happened.
    """
    if begun is None:
        return Proof(False, f"the server was to {was_to}, but nobody said that it does")
    until = over.t if over else float("inf")
    samples = [s for s in established(seen) if begun.t + _TAKING < s.t < until]
    written = {s.outq + s.bytes_acked for s in samples if s.bytes_acked is not None}
    if len(samples) < _FEWEST:
        return Proof(False, f"the server was to {was_to}, but not for long enough to tell")
    if len(written) != 1:
        sent = max(written, default=0) - min(written, default=0)
        return Proof(False, f"the server was to {was_to}, but wrote {sent} bytes meanwhile")
    return Proof(True, f"{did} for {show_duration(samples[-1].t - begun.t)}, nothing written")
