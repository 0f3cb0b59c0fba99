"""The path goes dark: a tunnel, a handover, a router that restarts. Packets are dropped silently, and it heals.

The router drops them (halfopen.netns.link.Link.cut), so that neither end's own TCP learns of it. ``direction`` limits
it to one way.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Literal

import msgspec

from halfopen.faults import _dark
from halfopen.faults._scene import Scene
from halfopen.model.evidence import Proof, established
from halfopen.model.timeline import Timeline
from halfopen.netns.units import show_duration

SUMMARY = "the path goes dark"
prepare = _dark.prepare
KILLS = True
#: Share of the dark time that may pass before the last earlier answer has arrived.
_LINGERING = 0.25


STRIKES = "link"


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The direction that is cut."""

    direction: Literal["both", "to_client", "to_server"] = "both"


@contextlib.contextmanager
def fault(scene: Scene, options: Options) -> Iterator[None]:
    """Drop packets in the given direction until the end."""
    toward = {"both": None, "to_client": scene.client_host, "to_server": scene.link.other(scene.client_host)}
    with scene.link.cut(toward[options.direction]) as cut:
        scene.note("cut", direction=options.direction, means=cut.means)
        with _dark.attempt(scene):
            yield


def signature(seen: Timeline) -> Proof:
    """Packets retransmitted, and no answer: the time since the last one grew with the clock (last_ack_recv)."""
    samples = established(seen)
    cut = seen.first("fault", "cut")
    if cut is None or not samples:
        return Proof(False, "the path was to go dark, but was never cut")
    first, last = samples[0], samples[-1]
    dark, silence = last.t - cut.t, last.unheard
    if silence < dark * (1 - _LINGERING):
        return Proof(False, f"the path was to go dark, but the client's kernel answered {show_duration(silence)} ago")
    if not last.unacked or last.total_retrans == first.total_retrans:
        if seen.first("fault", "cut_off") is None:
            return Proof(False, "the path was to go dark, but nothing was sent that could have been answered")
        return Proof(True, f"no answer for {show_duration(silence)}, nor to a connection attempt")
    retransmitted = last.total_retrans - first.total_retrans
    return Proof(True, f"no answer for {show_duration(silence)}, {retransmitted} packets sent again")
