"""The merged watchdog, which takes twice the grace."""

from __future__ import annotations

import dataclasses

from harness.pod.detectors._seam import Settings
from harness.pod.detectors.bytes_acked import BytesAcked


def create(settings: Settings) -> BytesAcked:
    return BytesAcked(dataclasses.replace(settings, grace=settings.grace * 2))
