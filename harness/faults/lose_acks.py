"""What the client sends is lost, what it is sent arrives: a firewall's half-forgotten rule, a broken uplink.

The server sees what it would of a host that is gone; the client goes on playing what it has.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from halfopen.faults import _dark
from halfopen.faults._scene import NoOptions, Scene
from halfopen.model.evidence import Proof
from halfopen.model.timeline import Timeline

#: Where it strikes (halfopen.results.story.struck).
STRIKES = "link"
Options = NoOptions


@contextlib.contextmanager
def fault(scene: Scene, _options: Options) -> Iterator[None]:
    """Drop silently what travels from the client, let it pass again at the end."""
    with _dark.cut_off(scene, toward=scene.link.other(scene.client_host)):
        yield


def signature(seen: Timeline) -> Proof:
    """Nothing gets through, tried from the client's host; no packet comes, retransmissions go unanswered."""
    return _dark.proof(seen)
