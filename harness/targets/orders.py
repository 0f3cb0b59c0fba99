"""A running server as faults see it: it takes orders, and logs its actions."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from halfopen.model.journal import Journal
from halfopen.targets.base import Running


class OrderedServer:
    """Gives orders to a running target. Satisfies halfopen.faults._scene.ServerHandle."""

    def __init__(self, running: Running, journal: Journal) -> None:
        self._running = running
        self._journal = journal
        self._said_at = time.monotonic()

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._running.process.pid

    def say(self, word: str) -> None:
        """Send it an order; raises FaultError if it takes none."""
        self._said_at = time.monotonic()
        self._running.say(word)

    def paused(self, by: str) -> AbstractContextManager[None]:
        """Pause its container until the context is left; raises FaultError if it is in none."""
        return self._running.paused(by)

    def wait_for(self, name: str, timeout: float) -> Mapping[str, Any]:
        """Wait for its event ``name``, later than the last order; raises TimeoutError after ``timeout`` seconds."""
        since, until = self._said_at, time.monotonic() + timeout
        if not self._journal.wait(lambda: self._journal.find("target", name, since=since) is not None, until):
            raise TimeoutError(f"the server did not say {name!r} within {timeout:g}s")
        event = self._journal.find("target", name, since=since)
        assert event is not None
        return event.data
