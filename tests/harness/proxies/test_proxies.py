"""Real proxies between the network and the pod: their configuration, and the server's view through them."""

from __future__ import annotations

from pathlib import Path

import pytest

from halfopen.model import timeline
from halfopen.netns.sockets import Address
from halfopen.proxies import haproxy, nginx
from tests.harness.cli.tool import by_scenario, halfopen
from tests.machine import UNPRIVILEGED, needs_haproxy, needs_labs, needs_nginx, needs_unshare

LISTEN, UPSTREAM = Address("198.18.1.2", 8000), Address("198.18.2.2", 8001)
#: Long enough to fill a proxy's buffers after the client is gone, at the pod's 640 KiB a second.
TERMS = ("--grace", "2s", "--poll", "500ms", "--clock", "real", "--seed", "7")


def test_nginx_writes_nowhere_but_into_its_folder() -> None:
    text = nginx.config(LISTEN, UPSTREAM, Path("/tmp/x"))
    assert "listen 198.18.1.2:8000;" in text
    assert "proxy_pass http://198.18.2.2:8001;" in text
    paths = [word.rstrip(";") for word in text.split() if word.startswith("/") and word != "/"]
    assert len(paths) == 6
    assert all(path.startswith("/tmp/x/") for path in paths)


def test_haproxy_writes_nowhere() -> None:
    text = haproxy.config(LISTEN, UPSTREAM, Path("/tmp/x"))
    assert "bind 198.18.1.2:8000" in text
    assert "server one 198.18.2.2:8001" in text
    assert "/tmp/x" not in text


@needs_labs
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("edge_holds", marks=needs_nginx),
        pytest.param("edge_holds_haproxy", marks=needs_haproxy),
    ],
)
def test_a_proxy_keeps_the_connection_of_a_vanished_client_until_it_is_full(name: str, tmp_path: Path) -> None:
    ran = halfopen("run", f"dead/{name}", *TERMS, "--out", str(tmp_path))
    run = by_scenario(tmp_path)[name]
    assert (ran.code, run["verdict"], run["reason"]) == (0, "passed", "send_stall"), run["why"]
    seen = timeline.read(tmp_path / "timelines" / f"{name}.jsonl")
    last = [s for s in seen.samples if s.state == "ESTABLISHED"][-1]
    # The proxy's kernel is alive: it answers, but its window is closed.
    assert (last.unacked, last.snd_wnd) == (0, 0)


@needs_labs
@needs_unshare
@needs_nginx
def test_a_proxy_needs_no_privilege(tmp_path: Path) -> None:
    ran = halfopen("run", "dead/edge_holds", *TERMS, "--out", str(tmp_path), under=UNPRIVILEGED)
    assert (ran.code, ran.err) == (0, ""), ran
