"""Servers that never behave: each is red, with its own sentence, and none is inconclusive by accident."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.harness.cli.tool import Ran, by_scenario, halfopen
from tests.machine import needs_guest, needs_labs

SERVER = Path(__file__).parents[1] / "planted" / "unwilling.py"


def ran(way: str, out: Path, *options: str, scenario: str = "frozen") -> tuple[Ran, dict[str, Any]]:
    server = f"{sys.executable} {SERVER} {{host}} {{port}} {way}"
    done = halfopen("run", scenario, "--server", server, *options, "--out", str(out))
    return done, by_scenario(out)[Path(scenario).stem]


@needs_labs
@pytest.mark.parametrize(
    ("way", "says"),
    [
        ("refuse", "no session could be opened: server rejected WebSocket connection: HTTP 404; does it serve"),
        ("greet", "no session could be opened: did not receive a valid HTTP response: "),
        ("hang_up", "no session could be opened: the server closed the connection without an answer"),
        ("reset", "no session could be opened: the server closed the connection without an answer"),
        ("crash", "the server ended by itself with exit code 3 at "),
    ],
)
def test_a_server_that_lets_nobody_in_fails(way: str, says: str, tmp_path: Path) -> None:
    done, run = ran(way, tmp_path)
    assert (done.code, run["verdict"], run["outcome"], run["class"]) == (1, "failed", None, "not_opened"), run["why"]
    assert run["why"].startswith(says)


@needs_guest
@pytest.mark.parametrize("way", ["ignore", "dribble"])
def test_a_server_that_never_answers_the_handshake_fails(way: str, tmp_path: Path) -> None:
    done, run = ran(way, tmp_path, "--clock", "virtual")
    assert (done.code, run["verdict"]) == (1, "failed")
    assert run["why"] == "no session could be opened: the server did not complete the handshake within 30s"


@needs_labs
@pytest.mark.parametrize("way", ["accept_and_hang_up", "accept_and_reset", "accept_and_say_goodbye"])
def test_a_server_that_ends_every_session_at_once_fails(way: str, tmp_path: Path) -> None:
    done, run = ran(way, tmp_path)
    assert (done.code, run["verdict"], run["class"]) == (1, "failed", "false_reap"), run["why"]
    assert "before anything was done to it" in run["why"]


@needs_labs
def test_a_server_that_ends_with_its_first_session_fails(tmp_path: Path) -> None:
    done, run = ran("accept_and_crash", tmp_path)
    assert (done.code, run["verdict"]) == (1, "failed")
    assert run["why"].startswith("the server ended by itself with exit code 3 at ")


@needs_guest
def test_a_server_that_says_nothing_and_holds_its_dead_client_has_missed_it(tmp_path: Path) -> None:
    done, run = ran("accept_and_say_nothing", tmp_path, "--clock", "virtual")
    assert (done.code, run["verdict"], run["class"]) == (1, "failed", "missed")
    assert "after the freeze began" in run["why"]


@needs_guest
def test_a_link_that_lets_no_handshake_through_is_not_the_servers_fault(tmp_path: Path, repository: Path) -> None:
    file = tmp_path / "lossy.toml"
    frozen = (repository / "scenarios" / "dead" / "frozen.toml").read_text()
    file.write_text(frozen + '\n[link]\nloss = "100%"\n')
    done, run = ran("ignore", tmp_path, "--clock", "virtual", scenario=str(file))
    assert (done.code, run["verdict"], run["why"]) == (3, "inconclusive", "no session could be opened: timed out")
