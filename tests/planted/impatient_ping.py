"""No watchdog, but the library's keepalive every second instead of every 20: the wedge without the wait."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from halfopen.pod.detectors._seam import Detector, Settings


class ImpatientPing(Detector):
    def serve_options(self) -> Mapping[str, Any]:
        return {"ping_interval": 1, "ping_timeout": 90}


def create(_settings: Settings) -> ImpatientPing:
    return ImpatientPing()
