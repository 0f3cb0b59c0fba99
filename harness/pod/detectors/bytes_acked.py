"""The merged watchdog of the incident: bytes queued, and neither the queue nor tcpi_bytes_acked moves for the grace."""

from __future__ import annotations

from halfopen.pod.detectors._seam import Settings, Watchdogs
from halfopen.pod.watchdog import StallRule

SUMMARY = "bytes queued, and for the grace none acknowledged (tcpi_bytes_acked)"
RULE = StallRule
IS_REPLAYABLE = True


def create(settings: Settings) -> Watchdogs:
    """Return the detector with its settings."""
    return Watchdogs(settings, lambda _, now: RULE(now))
