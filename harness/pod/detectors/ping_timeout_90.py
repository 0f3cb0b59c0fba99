"""The library's keepalive as in the incident's pod: a ping every 20 s, and 90 s for the pong.

It is ninety because native calls kept the server from reading the pongs of live clients for longer than 20.
"""

from __future__ import annotations

from halfopen.pod.detectors._keepalive import Keepalive
from halfopen.pod.detectors._seam import Settings

SUMMARY = "the library's keepalive as in the incident: a ping every 20 s, and 90 s for the pong"
OWN_TIMES = True


def create(settings: Settings) -> Keepalive:
    """Return the detector; its times are the incident's, whatever the grace."""
    return Keepalive(settings, 20, 90)
