"""The packet capture of a held session, at the server's interface: from the first, or started and stopped by hand."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import TracebackType
from typing import Self

from halfopen import __version__
from halfopen.netns.capture import Capture
from halfopen.netns.errors import LabError
from halfopen.netns.host import Host


class Tap:
    """Where a capture goes, if there is one. Use it as a context manager."""

    def __init__(self, file: Path | None, spare: Path, by_way_of: Path | None = None) -> None:
        """``file``: captured into from the first; None: nothing is until it is asked for, and that into ``spare``.

        ``by_way_of``: where it is written in truth, for whoever carries it there.
        """
        self._file = file or spare
        self._written = by_way_of or self._file
        self._from_the_first = file is not None
        self._capture: Capture | None = None
        self._used = self._is_over = False
        self._held = contextlib.ExitStack()

    def at(self, host: Host, interface: str) -> Self:
        """Have it capture there; raises LabError, OSError."""
        application = f"halfopen {__version__}"
        self._capture = self._held.enter_context(Capture(host, interface, self._written, application=application))
        if self._from_the_first:
            self._start()
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.__exit__(kind, error, trace)

    def toggle(self) -> str:
        """Start it, or stop it; says what was done, or why not."""
        assert self._capture is not None
        try:
            if self._capture.running:
                self._capture.stop()
                return f"the capture is stopped: {self._capture.packets} packets in {self._file}"
            if not self._used and not self._from_the_first and self._file.exists():
                return f"{self._file} is there already; name another with --pcap FILE"
            self._start()
        except (LabError, OSError) as error:
            return f"no capture: {error}"
        return f"captured from now on: {self._file}"

    def _start(self) -> None:
        assert self._capture is not None
        self._capture.start()
        self._used = True

    def finish(self) -> None:
        """Capture no more: all that came by until now is in the file."""
        self._is_over = True
        if self._capture is not None:
            with contextlib.suppress(OSError):  # told of when the file is closed
                self._capture.stop()

    def comment(self, text: str) -> None:
        """Note in the file that something happens now."""
        if self._capture is not None and self._used:
            self._capture.comment(text)

    def told(self) -> str:
        """Where it goes and how much there is; empty where nothing was ever captured."""
        if self._capture is None or not self._used:
            return ""
        doing = "" if self._capture.running or self._is_over else " (stopped)"
        lost = f", {self._capture.dropped} lost" if self._capture.dropped else ""
        return f"{self._file}, {self._capture.packets} packets{lost}{doing}"
