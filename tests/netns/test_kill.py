"""A tool killed while bytes are stuck behind a cut: the kernel soon gives up their connections.

They outlive the tool, as those of any program do, and keep their network namespaces until then.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.in_guest import in_guest
from tests.machine import UNPRIVILEGED, needs_guest, needs_unshare
from tests.netns.network import eventually

pytestmark = needs_guest

#: Seconds for which the kernel sends unacknowledged bytes again for nobody: 8 times, at least 100 s (ip-sysctl,
#: tcp_orphan_retries), here with a margin for the first of them.
_GIVES_UP = 150.0

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
@in_guest
def test_connections_behind_a_cut_end_soon_after_a_killed_tool(under: list[str]) -> None:
    before = orphans()
    with subprocess.Popen([*under, sys.executable, "-c", STUCK], stdout=subprocess.PIPE, text=True) as tool:
        assert tool.stdout is not None
        assert tool.stdout.readline() == "stuck\n"
        assert orphans() == before
        tool.kill()
    eventually(lambda: orphans() > before, "the kernel alone has the connections")
    eventually(lambda: orphans() == before, "they are given up", _GIVES_UP)
