"""No detector, as in the incident's pod. A dead client keeps its seat for as long as TCP does."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from halfopen.pod.detectors._seam import Guarded, Settings


class NoDetector:
    """Watches no session."""

    def serve_options(self) -> Mapping[str, Any]:
        """Return no options: the pod's own apply."""
        return {}

    def guard(self, _session: Guarded) -> AbstractContextManager[object]:
        """Do nothing."""
        return contextlib.nullcontext()


def create(_settings: Settings) -> NoDetector:
    """Return a detector without settings."""
    return NoDetector()
