"""The merged watchdog, which thinks that half the grace is all of it."""

from __future__ import annotations

import dataclasses

from harness.pod.detectors._seam import Settings
from harness.pod.detectors.bytes_acked import BytesAcked


def create(settings: Settings) -> BytesAcked:
    return BytesAcked(dataclasses.replace(settings, grace=settings.grace / 2))
