"""The test's end of the connection to its lab (halfopen.testing.worker): requests out, replies in, over pipes."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from halfopen.testing import server_environment
from halfopen.testing.messages import Opened, Opening, Reply, Request, RequestRefused
from halfopen.testing.process_end import dismiss

_T = TypeVar("_T", bound=Reply)


def _encoded(request: Request | Opening) -> bytes:
    __tracebackhide__ = True
    try:
        return msgspec.json.encode(request) + b"\n"
    except TypeError as error:
        pytest.fail(f"halfopen: options are texts, numbers, lists and tables, as in a scenario: {error}")


class Channel:
    """A lab process and the connection to it. A refused request fails the test with the lab's message. Thread-safe."""

    def __init__(self, opening: Opening, folder: Path) -> None:
        """Start the lab. Servers' commands run in ``folder``."""
        __tracebackhide__ = True
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the channel)
        self._lock = threading.Lock()
        self._is_lost = False
        self._process = subprocess.Popen(
            # -P: a folder called harness in the user's current directory must not stand in for ours.
            [sys.executable, "-P", "-m", "halfopen.testing.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=folder,
            env=server_environment.environment(),
            # Ctrl-C goes to pytest, which then ends us.
            start_new_session=True,
        )
        try:
            self.opened = self.ask(opening, Opened)
        except BaseException:
            self.close()
            raise

    def ask(self, request: Request | Opening, kind: type[_T]) -> _T:
        """Return the reply to a request. Fails the test if it is refused, or the lab is gone."""
        __tracebackhide__ = True
        line = _encoded(request)
        with self._lock:
            if self._is_lost:
                pytest.fail("halfopen: this test's lab is gone, since a wait for it was interrupted")
            # An interrupted wait would leave its reply to the next request.
            self._is_lost = True
            line = self._exchange(line)
            if not line.endswith(b"\n"):
                pytest.fail(f"halfopen: this test's lab ended: {self._last_words()}")
            self._is_lost = False
        reply = msgspec.json.decode(line, type=Reply)
        if isinstance(reply, RequestRefused):
            pytest.fail(f"halfopen: {reply.why}")
        assert isinstance(reply, kind), reply
        return reply

    def _exchange(self, line: bytes) -> bytes:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line)
            self._process.stdin.flush()
        return self._process.stdout.readline()

    def _last_words(self) -> str:
        code = self._process.wait()
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip() or f"exit code {code}, without a word"

    def close(self) -> None:
        """End the lab and wait until nothing of it is left."""
        dismiss(self._process)
        self._errors.close()
