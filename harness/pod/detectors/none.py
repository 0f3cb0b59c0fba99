"""No detector: what the incident's pod had. A dead client keeps its seat for as long as TCP does."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from halfopen.pod.detectors._seam import Guarded, Settings


class NoDetector:
    """Looks after nobody."""

    def serve_options(self) -> Mapping[str, Any]:
        """The pod's own."""
        return {}

    def guard(self, _session: Guarded) -> AbstractContextManager[object]:
        """Do nothing."""
        return contextlib.nullcontext()


def create(_settings: Settings) -> NoDetector:
    """A detector that has no settings."""
    return NoDetector()
