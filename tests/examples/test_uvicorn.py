"""``halfopen run dead alive --server "uvicorn ..."``, as a new user runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from halfopen.results import fixes
from tests.harness.cli.tool import Ran, by_scenario, halfopen
from tests.machine import needs_guest, needs_servers
from tests.servers import EXAMPLES, environment

pytestmark = [needs_guest, needs_servers]

TERMS = ("--clock", "virtual", "--seed", "7")


#: Scenarios that the tests below inspect, and one whose stream is too big for its link.
LOOKED_AT = (
    "dead/frozen", "dead/killed", "dead/half_closed", "dead/rebooted",
    "alive/active", "alive/paused", "alive/backpressured", "alive/satellite", "alive/stop_the_world",
    "alive/slowest_link",
)  # fmt: skip


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("uvicorn")


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(LOOKED_AT, id="looked-at"),
        pytest.param(("dead", "alive"), id="all", marks=pytest.mark.exhaustive),
    ],
)
def ran(request: pytest.FixtureRequest, out: Path) -> Ran:
    server = "uvicorn app:app --host {host} --port {port}"
    call = ("run", *request.param, "--server", server, *TERMS, "--out", str(out))
    return halfopen(*call, cwd=EXAMPLES / "asgi", env=environment())


@pytest.fixture
def runs(ran: Ran, out: Path) -> dict[str, dict[str, Any]]:
    assert ran.code == 1, ran
    return by_scenario(out)


def test_a_frozen_streaming_client_is_held_and_the_run_fails(runs: dict[str, dict[str, Any]]) -> None:
    frozen = runs["frozen"]
    assert (frozen["class"], frozen["verdict"]) == ("missed", "failed")
    assert frozen["why"].startswith("session still held 78")
    assert frozen["stuck_bytes"] > 0


def test_the_failure_names_the_page_for_its_software(runs: dict[str, dict[str, Any]], ran: Ran) -> None:
    assert runs["frozen"]["fix"] == f"{fixes.FOLDER}/asgi.md"
    assert runs["killed"]["fix"] is None
    assert f"    fix:      {fixes.FOLDER}/asgi.md" in ran.out.splitlines()


def test_a_client_whose_kernel_says_so_is_reaped(runs: dict[str, dict[str, Any]]) -> None:
    for told in ("killed", "half_closed", "rebooted"):
        assert (runs[told]["class"], runs[told]["verdict"]) == ("true_reap", "passed")


def test_the_living_are_kept(runs: dict[str, dict[str, Any]]) -> None:
    for living in ("active", "paused", "backpressured", "satellite", "stop_the_world"):
        assert (runs[living]["class"], runs[living]["verdict"]) == ("true_keep", "passed")


def test_nothing_but_a_stream_too_fat_for_its_link_is_left_open(runs: dict[str, dict[str, Any]]) -> None:
    unproved = {name for name, run in runs.items() if run["verdict"] == "inconclusive"}
    assert unproved <= {"slowest_link"}
