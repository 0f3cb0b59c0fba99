"""The test's end of the connection to its lab (halfopen.testing.worker)."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TypeVar

import pytest

from halfopen.netns import bug_report
from halfopen.netns.bug_report import ForeignError
from halfopen.spawn.peers import Child, PeerLostError, PeerUp, Refused
from halfopen.testing.messages import Lacking, Opening, Reply, Request

_T = TypeVar("_T", bound=Reply)


def environment() -> dict[str, str]:
    """Return our environment, with the Python that runs pytest first on the PATH, whether activated or not."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path}


class Channel:
    """A lab process and the connection to it. Thread-safe.

    A refused request fails the test with the lab's message. If this machine lacks what it needs, the test is skipped.
    """

    def __init__(self, opening: Opening, folder: Path) -> None:
        """Start the lab. Servers' commands run in ``folder``."""
        __tracebackhide__ = True
        self._child = Child("halfopen.testing.worker", Reply, folder=folder, environment=environment())
        try:
            self.opened = self.ask(opening, PeerUp)
        except BaseException:
            self.close()
            raise

    def ask(self, request: Request, kind: type[_T]) -> _T:
        """Return the reply to a request. Fails the test if it is refused, or the lab is gone; skips it for a lack."""
        __tracebackhide__ = True
        try:
            reply = self._child.ask(request)
        except TypeError as error:
            pytest.fail(f"halfopen: options are texts, numbers, lists and tables, as in a scenario: {error}")
        except ForeignError as error:
            pytest.fail(f"halfopen: {bug_report.sentence(error)}")
        except PeerLostError as error:
            pytest.fail(f"halfopen: this test's lab is gone: {str(error) or self._child.last_words()}")
        if isinstance(reply, Lacking):
            pytest.skip(f"halfopen: {reply.why}")
        if isinstance(reply, Refused):
            pytest.fail(f"halfopen: {reply.why}")
        assert isinstance(reply, kind), reply
        return reply

    def close(self) -> None:
        """End the lab and wait until nothing of it is left."""
        self._child.close()
