"""A user's project: a test file, the server beside it, and pytest run on them in its own process."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.planted import watched

COMMAND = "python my_server.py --host {host} --port {port}"

_HOME = os.environ.get("HOME", "/")

#: The project's reference example, verbatim.
EXAMPLE = """
def test_a_frozen_client_gives_its_seat_back(lab):
    server = lab.serve("python my_server.py --host {host} --port {port}")
    client = lab.connect(server)

    client.freeze()

    assert lab.session(client).reaped(within="35s")
"""

#: A server's grace and the detector's poll in these tests, seconds. Expectations refer to them.
GRACE, POLL = 2.0, 0.2
IN_SHORT = ("--halfopen-grace", f"{GRACE}s", "--halfopen-poll", f"{POLL}s")


def project(pytester: pytest.Pytester, text: str = EXAMPLE, **environment: object) -> None:
    """Write the files. ``environment`` holds the server's variables."""
    shutil.copy(Path(watched.__file__), pytester.path / "my_server.py")
    pytester.makepyfile(test_it=text)
    patch = pytester._monkeypatch
    # pytester's own home has no guest kernel in its cache.
    patch.setenv("HOME", _HOME)
    for name in ("WATCHDOG", "SILENT", "DYING"):
        patch.delenv(name, raising=False)
    for name, value in environment.items():
        patch.setenv(name, str(value))


def ran(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run pytest there, by default on the real clock."""
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)
