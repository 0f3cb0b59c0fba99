"""The client's host is gone: an empty battery, a pulled cable, a phone in a tunnel. No goodbye.

Both directions are dark. The server's TCP retransmits, ever more rarely, until tcp_retries2 is used up (tcp(7)).
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from halfopen.faults import _dark
from halfopen.faults._scene import NoOptions, Scene

SUMMARY = "the client's host is gone"
prepare = _dark.prepare
KILLS = True
STRIKES = "link"
Options = NoOptions


signature = _dark.proof


def fault(scene: Scene, _options: Options) -> AbstractContextManager[None]:
    """Silently drop packets of both directions; let them pass again at the end."""
    return _dark.cut_off(scene)
