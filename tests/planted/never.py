"""Reaps nobody."""

from __future__ import annotations

from halfopen.pod.detectors.none import create

__all__ = ["create"]
