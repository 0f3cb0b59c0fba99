"""Whole runs with a crowd: servers that treat it well, and planted ones that do not."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.harness.cli.tool import by_scenario, halfopen, results
from tests.machine import needs_guest, needs_nginx

pytestmark = needs_guest

SERVER = Path(__file__).parent.parent.parent / "planted" / "crowded.py"
COUNT = 36
#: Longer than the clients' patience and the planted server's, so that everybody has to come back.
SCENARIO = f"""
title = "A crowd that has to come back"
story = "A path is out for longer than its clients have patience."
truth = "alive"
client = "acking"
[crowd]
count = {COUNT}
patience = "8s"
reconnect = {{ base = "1s", most = "4s", jitter = "50%" }}
[crowd.expect]
all_served_within = "30s"
most_overflows = 0
[[step]]
at = "5s"
fault = "cut"
on = "crowd"
for = "10s"
[expect]
session = "kept"
longest_gap = "2s"
hold = "50s"
"""


def run(folder: Path, way: str) -> dict[str, Any]:
    file = folder / "crowded.toml"
    file.write_text(SCENARIO)
    # The subject is the first to connect.
    server = f"{sys.executable} {SERVER} {{host}} {{port}} {way} {COUNT + 1}"
    halfopen(
        "run",
        str(file),
        "--server",
        server,
        "--clock",
        "virtual",
        "--grace",
        "10s",
        "--seed",
        "7",
        "--out",
        str(folder),
    )
    (only,) = results(folder)["runs"]
    assert isinstance(only, dict)
    return only


def test_a_server_that_lets_everybody_back_passes(tmp_path: Path) -> None:
    done = run(tmp_path, "good")
    assert done["verdict"] == "passed", done["why"]
    crowd = done["crowd"]
    assert (crowd["served"], crowd["returned"], crowd["unserved"], crowd["sockets_left"]) == (COUNT, COUNT, 0, 0)
    assert crowd["attempts"] >= COUNT
    assert crowd["threads_before"] < crowd["threads_most"] > crowd["threads_after"]
    assert crowd["files_most"] >= COUNT + crowd["files_before"]
    # The subject on another link noticed nothing of it.
    assert done["sessions"][0]["longest_gap_s"] < 1


@pytest.mark.parametrize(
    ("way", "complaint"),
    [
        ("closed", f"{COUNT} of {COUNT} clients get no data 30s after the fault; attempts that failed: "),
        ("leaking", "more threads after the crowd has left than before it came, expected at most 32 more"),
        ("holding", f"the server has {2 * COUNT} more open files after the crowd has left"),
        ("backlog", " unanswered; ListenOverflows "),
    ],
)
def test_a_server_that_does_not_has_failed(way: str, complaint: str, tmp_path: Path) -> None:
    done = run(tmp_path, way)
    assert (done["verdict"], done["crowd"]["verdict"]) == ("failed", "failed"), done["why"]
    assert done["why"].startswith("crowd: ")
    assert complaint in done["why"]
    assert done["sessions"][0]["verdict"] == "passed"


@pytest.fixture(scope="module")
def storms(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Run the suite twice with one seed, with a watchdog that ends everybody; return the folders."""
    folders = [tmp_path_factory.mktemp("storm") for _ in range(2)]
    for folder in folders:
        halfopen("run", "storm", "--clock", "virtual", "--jobs", "2", "--seed", "7", "--out", str(folder))
    return folders


def test_storms_with_one_seed_are_the_same_to_the_byte(storms: list[Path]) -> None:
    first, second = ({file.name: file.read_bytes() for file in folder.rglob("*.jsonl")} for folder in storms)
    assert len(first) >= 3
    assert first == second


def test_a_watchdog_that_counts_the_stall_ends_everybody_behind_an_outage_beyond_its_grace(storms: list[Path]) -> None:
    runs = by_scenario(storms[0])
    short, long = runs["outage_20s"]["crowd"], runs["outage_40s"]["crowd"]
    assert (short["reaped"], short["returned"], long["reaped"], long["returned"]) == (0, 0, 50, 50)
    assert long["reaped_per_s"] == 50
    assert {runs[name]["verdict"] for name in ("outage_20s", "outage_40s")} == {"passed"}
    for name in ("uplink_40s", "uplink_60s"):
        uplink = runs[name]
        assert (uplink["verdict"], uplink["crowd"]["verdict"], uplink["crowd"]["reaped"]) == ("failed", "failed", 50)


def test_a_detector_that_waits_when_all_go_dark_at_once_reaps_nobody(tmp_path: Path) -> None:
    halfopen("run", "uplink_60s", "--detector", "halfopen", "--clock", "virtual", "--seed", "7", "--out", str(tmp_path))
    (only,) = results(tmp_path)["runs"]
    assert (only["verdict"], only["crowd"]["reaped"], only["crowd"]["unserved"]) == ("passed", 0, 0), only["why"]


@needs_nginx
def test_behind_an_edge_that_restarts_jitter_spreads_the_attempts(storms: list[Path]) -> None:
    runs = by_scenario(storms[0])
    in_step, spread = runs["edge_restarts"]["crowd"], runs["edge_with_jitter"]["crowd"]
    assert (in_step["ended"], in_step["returned"], spread["returned"]) == (50, 50, 50)
    assert in_step["attempts_per_s"] == 50 > spread["attempts_per_s"]
    assert in_step["failed_attempts"]["unreachable"] == 100
