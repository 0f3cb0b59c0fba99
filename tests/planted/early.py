"""The merged watchdog, which thinks that half the grace is all of it."""

from __future__ import annotations

import dataclasses

from harness.pod.detectors import bytes_acked
from harness.pod.detectors._seam import Settings
from harness.pod.detectors._watchdogs import Watchdogs


def create(settings: Settings) -> Watchdogs:
    return bytes_acked.create(dataclasses.replace(settings, grace=settings.grace / 2))
