"""No detector, as in the incident's pod. A dead client keeps its seat for as long as TCP does."""

from __future__ import annotations

from halfopen.pod.detectors._seam import Detector, Settings

SUMMARY = "no detector: a dead client keeps its seat for as long as TCP does"
IS_BASELINE = True


def create(_settings: Settings) -> Detector:
    """Return a detector without settings."""
    return Detector()
