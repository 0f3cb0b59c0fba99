"""The client's packets are lost, the server's arrive: a firewall's half-forgotten rule, a broken uplink.

To the server it looks like a host that is gone; the client goes on playing its data.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from halfopen.faults import _dark
from halfopen.faults._scene import NoOptions, Scene

SUMMARY = "the client's packets are lost, the server's arrive"
prepare = _dark.prepare
KILLS = True
STRIKES = "link"
Options = NoOptions


signature = _dark.proof


def fault(scene: Scene, _options: Options) -> AbstractContextManager[None]:
    """Silently drop packets from the client; let them pass again at the end."""
    return _dark.cut_off(scene, toward=scene.link.other(scene.client_host))
