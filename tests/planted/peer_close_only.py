"""Notices clients that say that they leave, and no others: the merged watchdog without its stall."""

from __future__ import annotations

import dataclasses
import math

from harness.pod.detectors import bytes_acked
from harness.pod.detectors._seam import Settings
from harness.pod.detectors._watchdogs import Watchdogs


def create(settings: Settings) -> Watchdogs:
    return bytes_acked.create(dataclasses.replace(settings, grace=math.inf))
