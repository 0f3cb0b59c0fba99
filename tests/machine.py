"""Features of this machine, checked once. Tests that need a missing one are skipped by these marks (in CI: failed)."""

from __future__ import annotations

import shutil
import sys

import pytest

from halfopen.netns import isolation
from halfopen.netns.guest import cache
from halfopen.netns.lab_errors import IsolationError
from halfopen.scenario.spec import Edge
from halfopen.targets.proxy import find_program
from halfopen.thread_dump import pyspy
from tests import browser, engine, no_namespaces, servers


def _why_no_labs() -> str | None:
    try:
        isolation.run(lambda: 0)
    except IsolationError as error:
        return str(error)
    return None


_NO_LABS = _why_no_labs()
_NO_UNSHARE = None if shutil.which("unshare") else "unshare (util-linux) is not installed"

_NO_GUEST = None if cache.newest() else "there is no guest kernel: make kernel"

_NO_NGINX = None if find_program(Edge(proxy="nginx")) else "nginx is not installed: apt install nginx-light"
_NO_HAPROXY = None if find_program(Edge(proxy="haproxy")) else "haproxy is not installed: apt install haproxy"

_NO_SERVERS = None if servers.FOLDER else "the servers of examples/ are not installed: make servers"
_NO_GO_SERVERS = None if servers.has_go() else "the servers in Go of examples/ are not built: make servers (needs Go)"
_NO_ENGINE = engine.why_none()
_NO_TSHARK = None if shutil.which("tshark") else "tshark is not installed: apt install tshark"
_NO_PY_SPY = None if pyspy.program() else "py-spy is not installed: pip install 'halfopen[stacks]'"

_ALL = (
    _NO_LABS,
    _NO_UNSHARE,
    _NO_GUEST,
    _NO_NGINX,
    _NO_HAPROXY,
    _NO_SERVERS,
    _NO_GO_SERVERS,
    _NO_ENGINE,
    _NO_TSHARK,
    _NO_PY_SPY,
    browser.WHY_NONE,
)
LACKING = [why for why in _ALL if why]

#: Each mark means a lab, or something as slow, and names the missing feature (tests/conftest.py). ``make unit`` leaves
#: these tests out.
needs_labs = pytest.mark.lab(_NO_LABS)
needs_unshare = pytest.mark.lab(_NO_UNSHARE)
needs_guest = pytest.mark.lab(_NO_GUEST)

needs_nginx = pytest.mark.lab(_NO_NGINX)
needs_haproxy = pytest.mark.lab(_NO_HAPROXY)

needs_servers = pytest.mark.lab(_NO_SERVERS)
needs_go_servers = pytest.mark.lab(_NO_GO_SERVERS)
needs_engine = pytest.mark.lab(_NO_ENGINE)
needs_browser = pytest.mark.lab(browser.WHY_NONE)
#: Dask comes with the tests. Its import alone takes seconds.
needs_cluster = pytest.mark.lab(None)

needs_tshark = pytest.mark.lab(_NO_TSHARK)
needs_py_spy = pytest.mark.skipif(_NO_PY_SPY is not None, reason=str(_NO_PY_SPY))

#: Prefix of a command that runs as user 1000 without any capability, but still owns this user's files: an ordinary user
#: who can read a Python installed in root's home.
UNPRIVILEGED = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]

#: Prefix of a command that runs where namespaces and mounts are refused.
WITHOUT_NAMESPACES = [sys.executable, no_namespaces.__file__]
