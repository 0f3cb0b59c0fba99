"""Packet capture of a held session at the server's interface, from the start or on request."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from halfopen import __version__
from halfopen.netns.capture import Capture
from halfopen.netns.lab_errors import LabError
from halfopen.run.lab_server import LabServer


class SessionCapture:
    """The capture, if there is one."""

    def __init__(self, file: Path | None, spare: Path, written: Path | None = None) -> None:
        """Prepare the capture.

        If ``file`` is given, it is captured into from the start. None captures nothing until asked, and then into
        ``spare``. ``written`` is the path that is actually written, if the caller moves the file to its place.
        """
        self._file = file or spare
        self._written = written or self._file
        self._from_the_start = file is not None
        self._capture: Capture | None = None
        self._used = self._is_over = False

    @contextlib.contextmanager
    def at(self, server: LabServer) -> Iterator[None]:
        """Capture at the server's interface, until the context is left; raises LabError, OSError."""
        application = f"halfopen {__version__}"
        with Capture(server.site.host, server.interface, self._written, application=application) as self._capture:
            if self._from_the_start:
                self._start()
            yield

    def toggle(self) -> str:
        """Start or stop the capture; returns what was done, or why not."""
        assert self._capture is not None
        try:
            if self._capture.running:
                self._capture.stop()
                return f"the capture is stopped: {self._capture.packets} packets in {self._file}"
            if not self._used and not self._from_the_start and self._file.exists():
                return f"{self._file} exists; name another file with --pcap FILE"
            self._start()
        except (LabError, OSError) as error:
            return f"no capture: {error}"
        return f"capturing into {self._file}"

    def _start(self) -> None:
        assert self._capture is not None
        self._capture.start()
        self._used = True

    def finish(self) -> None:
        """Stop for good. Everything that passed until now is in the file."""
        self._is_over = True
        if self._capture is not None:
            with contextlib.suppress(OSError):  # reported when the file is closed
                self._capture.stop()

    def comment(self, text: str) -> None:
        """Add a comment at this moment to the file."""
        if self._capture is not None and self._used:
            self._capture.comment(text)

    def state(self) -> str:
        """Return the destination and the packet count; empty if nothing was ever captured."""
        if self._capture is None or not self._used:
            return ""
        stopped = "" if self._capture.running or self._is_over else " (stopped)"
        lost = f", {self._capture.dropped} lost" if self._capture.dropped else ""
        return f"{self._file}, {self._capture.packets} packets{lost}{stopped}"
