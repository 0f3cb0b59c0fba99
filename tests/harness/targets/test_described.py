"""A server that streams only to clients that ask in its way, and a client that is configured for it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.harness.cli.tool import by_scenario, halfopen
from tests.machine import needs_haproxy, needs_labs, needs_nginx

pytestmark = needs_labs

ASKING = Path(__file__).parents[2] / "planted" / "asking.py"
TERMS = ("--grace", "1s", "--poll", "500ms")
TARGET = {
    "server": f'"{sys.executable} {ASKING.name} {{host}} {{port}}"',
    "path": '"/stream"',
    "subprotocols": '["video", "audio"]',
    "headers": '{ Authorization = "Bearer open: sesame" }',
    "send": """['{"subscribe": "audio"}']""",
    "replies": '{ beat = "alive" }',
    "sessions": '"/api"',
    "sessions_pointer": '"/data/sessions"',
    "sessions_field": '"/peer/at"',
}


def ran(
    folder: Path, scenario: str = "active", *options: str, without: str | None = None, **changed: str
) -> dict[str, Any]:
    """Run a scenario against the server, described as it needs except for what is changed or left out."""
    (folder / ASKING.name).write_text(ASKING.read_text())
    table = {key: value for key, value in (TARGET | changed).items() if key != without}
    file = folder / "target.toml"
    file.write_text("[target]\n" + "\n".join(f"{key} = {value}" for key, value in table.items()))
    out = folder / "out"
    done = halfopen("run", scenario, "--target", str(file), *TERMS, "--out", str(out), *options)
    assert done.code in (0, 1, 3), done
    return by_scenario(out)[scenario]


def test_a_client_that_asks_as_it_is_told_to_gets_its_stream(tmp_path: Path) -> None:
    run = ran(tmp_path)
    assert (run["verdict"], run["class"]) == ("passed", "true_keep"), run["why"]
    assert [session["peer"]["at"][0][:7] for session in run["sessions_after"]] == ["198.18."]


@pytest.mark.parametrize(
    ("left_out", "said"),
    [
        ("path", "404"),
        ("headers", "401"),
        ("subprotocols", "400"),
        (
            "send",
            "the server sent nothing, and its list never showed the session; does it want to be asked first (--send)?",
        ),
        ("replies", "a live client was reaped"),
    ],
)
def test_without_any_part_of_it_it_gets_none(left_out: str, said: str, tmp_path: Path) -> None:
    run = ran(tmp_path, "active", without=left_out)
    assert run["verdict"] != "passed", run
    assert said in run["why"]


def test_a_list_that_does_not_show_the_session_fails(tmp_path: Path) -> None:
    run = ran(tmp_path, sessions_field='"/peer/name"')
    why = "GET /api at '/data/sessions': no session in it has the field '/peer/name' (--sessions-field)"
    assert (run["verdict"], run["why"]) == ("failed", why)


def test_by_tls_with_an_authority_of_its_own(tmp_path: Path) -> None:
    run = ran(
        tmp_path, "active", "--tls", server=f'"{sys.executable} {ASKING.name} {{host}} {{port}} {{cert}} {{key}}"'
    )
    assert run["verdict"] == "passed", run["why"]
    assert run["sessions_after"]


@pytest.mark.parametrize(
    "edge", [pytest.param("nginx", marks=needs_nginx), pytest.param("haproxy", marks=needs_haproxy)]
)
def test_through_a_proxy(edge: str, tmp_path: Path) -> None:
    run = ran(tmp_path, "active", "--edge", edge)
    assert run["verdict"] == "passed", run["why"]
    # The server sees the proxy's connection, from the proxy's address.
    assert [session["peer"]["at"][0] for session in run["sessions_after"]] == ["198.18.2.1"]
