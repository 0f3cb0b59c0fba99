"""The library's keepalive as it comes: a ping every 20 s, and 20 s for the pong (RFC 6455, section 5.5.2).

The ping waits for the lock of whoever is sending: see docs/websockets.md.
"""

from __future__ import annotations

from halfopen.pod.detectors._keepalive import Keepalive
from halfopen.pod.detectors._seam import Settings

OWN_TIMES = True


def create(_settings: Settings) -> Keepalive:
    """The detector; its times are the library's, whatever the grace."""
    return Keepalive(20, 20)
