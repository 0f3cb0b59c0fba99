"""Common parts of the detectors that rely on the kernel: a socket option, set at the session's start.

The kernel ends the connection, the library's next call on it fails, and the runner leaves.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager

from halfopen.pod.detectors._seam import Detector, Guarded


class SocketOptions(Detector):
    """Sets options on every session's socket."""

    def __init__(self, apply: Callable[[socket.socket], object]) -> None:
        self._apply = apply

    def guard(self, session: Guarded) -> AbstractContextManager[object]:
        """Set the options; raises OSError if the kernel does not support them."""
        self._apply(session.sock)
        return contextlib.nullcontext()
