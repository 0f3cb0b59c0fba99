"""Servers that end a session in ways easily mistaken for keeping it, for reaping it, or for neither."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.harness.cli.tool import by_scenario, halfopen
from tests.machine import needs_labs

pytestmark = needs_labs

SERVER = Path(__file__).parents[1] / "planted" / "server.py"
TERMS = ("--grace", "2s", "--poll", "500ms")


def ran(scenario: str, deed: str, after: float, out: Path, *terms: str) -> dict[str, Any]:
    server = f"{sys.executable} {SERVER} {{host}} {{port}} {deed} {after}"
    halfopen("run", scenario, "--server", server, *(terms or TERMS), "--out", str(out))
    return by_scenario(out)[scenario]


@pytest.mark.parametrize("deed", ["reset", "shut_down_and_hold", "half_close", "close_frame"])
def test_a_live_client_thrown_out_in_any_way_is_a_false_reap(deed: str, tmp_path: Path) -> None:
    run = ran("paused", deed, 2.0, tmp_path)
    assert (run["verdict"], run["class"]) == ("failed", "false_reap"), run["why"]


@pytest.mark.parametrize("deed", ["reset", "shut_down_and_hold"])
def test_a_dead_client_ended_by_a_reset_or_a_shutdown_is_reaped(deed: str, tmp_path: Path) -> None:
    # Frozen at 5 s, stalled well before 6, due 3.5 s later.
    run = ran("frozen", deed, 8.0, tmp_path)
    assert (run["outcome"], run["class"]) == ("reaped", "true_reap"), run["why"]
    if deed == "reset":
        assert run["verdict"] == "passed", run["why"]


def test_a_half_closed_socket_is_not_given_back(tmp_path: Path) -> None:
    run = ran("frozen", "half_close", 8.0, tmp_path)
    assert run["verdict"] == "failed"
    assert "still holds the socket" in run["why"]


def test_a_server_that_breaks_the_protocol_is_told_so(tmp_path: Path) -> None:
    run = ran("paused", "garbage", 2.0, tmp_path)
    assert run["verdict"] == "failed"
    assert run["why"].startswith("the server broke the WebSocket protocol at ")


def test_a_crash_is_no_watchdog(tmp_path: Path) -> None:
    run = ran("frozen", "crash", 8.0, tmp_path)
    assert run["verdict"] == "failed"
    assert "the server ended by itself with exit code 3" in run["why"]


def test_a_server_that_ignores_the_closing_handshake_fails(tmp_path: Path) -> None:
    # The server reads nothing. Acknowledgements fill its receive queue, so it never gets to the close frame.
    target = tmp_path / "target.toml"
    server = f"{sys.executable} {SERVER} {{host}} {{port}} keep 999"
    target.write_text(f"[target]\nserver = '{server}'\nacknowledge = '{{bytes}}'\n")
    halfopen("run", "clean_close", "--target", str(target), *TERMS, "--out", str(tmp_path / "out"))
    run = by_scenario(tmp_path / "out")["clean_close"]
    assert (run["verdict"], run["outcome"]) == ("failed", "kept"), run["why"]


def test_a_poll_longer_than_the_hold_is_waited_for(tmp_path: Path) -> None:
    halfopen("run", "frozen", "--grace", "1s", "--poll", "6s", "--out", str(tmp_path))
    run = by_scenario(tmp_path)["frozen"]
    assert run["verdict"] == "passed", run["why"]
