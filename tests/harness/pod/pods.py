"""A pod as its own process on the loopback, and requests to it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

PATIENCE = 60.0
_STEP = 0.02


class PodProcess:
    """A running pod. ``port`` was assigned by the kernel."""

    def __init__(self, popen: subprocess.Popen[str]) -> None:
        self.popen = popen
        assert popen.stdout is not None
        listening = json.loads(popen.stdout.readline())
        assert listening["event"] == "listening", listening
        self.port: int = listening["port"]

    def url(self, client: str = "me") -> str:
        return f"ws://127.0.0.1:{self.port}/?client={client}"

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=PATIENCE) as response:
            return json.load(response)

    def session(self) -> dict[str, Any]:
        """Return the only session. It is listed a moment after its client sees the connection open."""
        found: list[dict[str, Any]] = eventually(lambda: self.get("/sessions"))
        assert len(found) == 1, found
        return found[0]

    def say(self, text: str) -> None:
        """Write a line to its standard input, which it obeys with ``--control``."""
        assert self.popen.stdin is not None
        self.popen.stdin.write(text + "\n")
        self.popen.stdin.flush()

    def log_line(self, event: str) -> dict[str, Any]:
        """Return the next log line of an event."""
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            fields: dict[str, Any] = json.loads(line)
            if fields["event"] == event:
                return fields
        raise AssertionError(f"the pod ended without logging {event!r}")


@contextlib.contextmanager
def pod(*options: str) -> Iterator[PodProcess]:
    command = [sys.executable, "-m", "halfopen.pod", "--port", "0", *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as popen:
        try:
            yield PodProcess(popen)
        finally:
            popen.kill()


def eventually(condition: Callable[[], Any]) -> Any:
    """Wait until ``condition`` is true. Return its value."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(_STEP)
    return found
