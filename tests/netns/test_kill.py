"""A tool killed while bytes are stuck behind a cut: no unacknowledged connection stays in the kernel."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.machine import UNPRIVILEGED, needs_labs, needs_unshare
from tests.netns.network import eventually

pytestmark = [needs_labs, pytest.mark.alone]

STUCK = """
import sys, time
from halfopen.netns import isolation
from tests.netns.network import connection, fill, network

def work():
    with network() as net, connection(net) as (client, server), net.near.cut():
        fill(server)
        print("stuck", flush=True)
        while True: time.sleep(60)

sys.exit(isolation.run(work))
"""


def orphans() -> int:
    """Return the machine's TCP connections that no process holds any more (proc(5), net/sockstat)."""
    found = re.search(r"orphan (\d+)", Path("/proc/net/sockstat").read_text())
    assert found is not None
    return int(found[1])


@pytest.mark.parametrize("under", [[], pytest.param(UNPRIVILEGED, marks=needs_unshare)], ids=["root", "unprivileged"])
def test_a_killed_tool_leaves_no_connection_behind_a_cut(under: list[str]) -> None:
    before = orphans()
    with subprocess.Popen([*under, sys.executable, "-c", STUCK], stdout=subprocess.PIPE, text=True) as tool:
        assert tool.stdout is not None
        assert tool.stdout.readline() == "stuck\n"
        tool.kill()
    eventually(lambda: orphans() <= before, "the server's connection is ended")
