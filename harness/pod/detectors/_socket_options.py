"""Common parts of the detectors that rely on the kernel: a socket option, set at the session's start.

The kernel ends the connection, the library's next call on it fails, and the runner leaves.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from halfopen.pod.detectors._seam import Guarded


class SocketOptions:
    """Sets options on every session's socket."""

    def __init__(self, apply: Callable[[socket.socket], object]) -> None:
        self._apply = apply

    def serve_options(self) -> Mapping[str, Any]:
        """Return no options: the pod's own apply."""
        return {}

    def guard(self, session: Guarded) -> AbstractContextManager[object]:
        """Set the options; raises OSError if the kernel does not support them."""
        self._apply(session.sock)
        return contextlib.nullcontext()
