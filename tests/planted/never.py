"""Reaps nobody."""

from __future__ import annotations

from harness.pod.detectors.none import create

__all__ = ["create"]
