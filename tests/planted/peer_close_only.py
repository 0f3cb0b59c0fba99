"""Notices clients that say that they leave, and no others: the merged watchdog without its stall."""

from __future__ import annotations

import dataclasses
import math

from harness.pod.detectors._seam import Settings
from harness.pod.detectors.bytes_acked import BytesAcked


def create(settings: Settings) -> BytesAcked:
    return BytesAcked(dataclasses.replace(settings, grace=math.inf))
