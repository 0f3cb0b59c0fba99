"""The library's keepalive with its defaults: a ping every 20 s, and 20 s for the pong (RFC 6455, section 5.5.2).

The ping waits for the lock of the sending thread: see docs/websockets.md.
"""

from __future__ import annotations

from halfopen.pod.detectors._keepalive import Keepalive
from halfopen.pod.detectors._seam import Settings

SUMMARY = "the library's keepalive with its defaults: a ping every 20 s, and 20 s for the pong"
OWN_TIMES = True


def create(settings: Settings) -> Keepalive:
    """Return the detector; its times are the library's, whatever the grace."""
    return Keepalive(settings, 20, 20)
