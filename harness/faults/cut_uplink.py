"""The server's own uplink goes dark: a switch that restarts, a bad route. Every client is out of reach at once.

The router drops the packets, not the server's host, whose TCP would learn of it. It heals.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from halfopen.faults import _dark, cut
from halfopen.faults._scene import NoOptions, Scene

SUMMARY = "the server's own uplink goes dark, and with it every client"
prepare = _dark.prepare
STRIKES = "server"
KILLS = True
Options = NoOptions
signature = cut.signature


@contextlib.contextmanager
def fault(scene: Scene, _options: Options) -> Iterator[None]:
    """Drop all packets to and from the server until the end."""
    with scene.server.cut_off() as made:
        scene.note("cut", direction="both", means=made.means)
        with _dark.attempt(scene):
            yield
