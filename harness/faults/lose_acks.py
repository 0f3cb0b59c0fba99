"""The client's packets are lost, the server's arrive: a firewall's half-forgotten rule, a broken uplink.

To the server it looks like a host that is gone; the client goes on playing its data.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from halfopen.faults import _dark
from halfopen.faults._scene import NoOptions, Scene
from halfopen.model.evidence import Proof
from halfopen.model.timeline import Timeline

#: For stories and lists.
SUMMARY = "the client's packets are lost, the server's arrive"
#: Place of the fault (halfopen.results.words.struck).
STRIKES = "link"
Options = NoOptions


@contextlib.contextmanager
def fault(scene: Scene, _options: Options) -> Iterator[None]:
    """Silently drop packets from the client; let them pass again at the end."""
    with _dark.cut_off(scene, toward=scene.link.other(scene.client_host)):
        yield


def signature(seen: Timeline) -> Proof:
    """Nothing gets through, tried from the client's host; no packet arrives, and retransmissions go unanswered."""
    return _dark.proof(seen)
