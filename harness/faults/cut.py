"""The path goes dark: a tunnel, a handover, a router that restarts. Packets are dropped without a word, and it heals.

Done in the router (halfopen.netns.link.Link.cut), so that no end's own TCP is told. With ``direction`` one way only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Literal

import msgspec

# What Link.cut needs takes a while to import, and a fault that is due does not wait.
import halfopen.netns.firewall  # noqa: F401
from halfopen.faults._scene import Scene
from halfopen.model.evidence import Proof, established
from halfopen.model.timeline import Timeline
from halfopen.netns.units import show_duration

#: Of the time it is dark, what may pass before the last answer from before has come in.
_LINGERING = 0.25


#: Where it strikes (halfopen.results.story.struck).
STRIKES = "link"


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which way nothing gets through."""

    direction: Literal["both", "to_client", "to_server"] = "both"


@contextlib.contextmanager
def fault(scene: Scene, options: Options) -> Iterator[None]:
    """Drop what travels the given way, until the end."""
    toward = {"both": None, "to_client": scene.client_host, "to_server": scene.link.other(scene.client_host)}
    with scene.link.cut(toward[options.direction]) as cut:
        scene.note("cut", direction=options.direction, means=cut.means)
        yield


def signature(seen: Timeline) -> Proof:
    """Packets retransmitted, and not one answer: the time since the last one grew with the clock (last_ack_recv)."""
    samples = established(seen)
    cut = seen.first("fault", "cut")
    if cut is None or not samples:
        return Proof(False, "the path was to go dark, but was never cut")
    first, last = samples[0], samples[-1]
    dark, silence = last.t - cut.t, last.last_ack_recv / 1000
    if silence < dark * (1 - _LINGERING):
        return Proof(False, f"the path was to go dark, but the client's kernel answered {show_duration(silence)} ago")
    if not last.unacked or last.total_retrans == first.total_retrans:
        return Proof(False, "the path was to go dark, but nothing was sent that could have been answered")
    retransmitted = last.total_retrans - first.total_retrans
    return Proof(True, f"no answer for {show_duration(silence)}, {retransmitted} packets sent again")
