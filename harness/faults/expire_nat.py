"""The client's NAT forgets the connection while it is idle: later packets find no mapping and are dropped.

RFC 5382 (REQ-5) demands a timeout of at least two hours. Home gateways were measured with less than four minutes
(Hätönen et al., "An Experimental Study of Home Gateway Characteristics", IMC 2010), and one that restarts forgets at
once.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from halfopen.faults import _dark
from halfopen.faults._scene import NoOptions, Scene
from halfopen.model.evidence import Proof, all_of, established
from halfopen.model.timeline import Timeline
from halfopen.netns.units import show_duration

SUMMARY = "the client's NAT forgets the connection while it is idle"
prepare = _dark.prepare
KILLS = True
STRIKES = "link"
Options = NoOptions

#: Shortest silence that counts, seconds: many times the stream's own pauses.
_SILENCE = 0.5


def fault(scene: Scene, _options: Options) -> AbstractContextManager[None]:
    """Silently drop packets of both directions; let them pass again at the end."""
    return _dark.cut_off(scene)


def signature(seen: Timeline) -> Proof:
    """Silence before it, nothing queued, and nothing gets through after."""
    first = established(seen)[:1]
    if not first or first[0].outq or first[0].last_ack_recv < _SILENCE * 1000:
        return Proof(False, "the mapping was to be forgotten in silence, but there was none")
    silence = Proof(True, f"forgotten after {show_duration(first[0].last_ack_recv / 1000)} of silence")
    return all_of(silence, _dark.proof(seen))
