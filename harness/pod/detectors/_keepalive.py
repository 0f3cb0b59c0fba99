"""Common parts of the detectors that rely on the library's keepalive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from websockets.version import version

from halfopen.errors import InputError
from halfopen.pod.detectors._seam import Detector, Settings

#: First version of websockets whose threading implementation has a keepalive.
FIRST_MAJOR = 15


def there_is_one() -> bool:
    """True if the installed library has a keepalive for threads."""
    return int(version.split(".")[0]) >= FIRST_MAJOR


class Keepalive(Detector):
    """The library pings every ``interval`` seconds and closes when a pong takes longer than ``timeout``."""

    def __init__(self, settings: Settings, interval: float, timeout: float) -> None:
        if settings.api == "sync" and not there_is_one():
            raise InputError(
                f"websockets {version} has no keepalive for threads; take another detector, or websockets {FIRST_MAJOR}"
            )
        self._options = {"ping_interval": interval, "ping_timeout": timeout}

    def serve_options(self) -> Mapping[str, Any]:
        """Return the options of the keepalive."""
        return self._options
