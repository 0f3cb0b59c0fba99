"""The merged watchdog with half the grace."""

from __future__ import annotations

import dataclasses

from halfopen.pod.detectors import bytes_acked
from halfopen.pod.detectors._seam import Settings, Watchdogs


def create(settings: Settings) -> Watchdogs:
    return bytes_acked.create(dataclasses.replace(settings, grace=settings.grace / 2))
