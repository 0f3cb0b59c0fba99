"""The suite core: green for servers with a sound watchdog, red without one, streaming and quiet."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from halfopen.scenario import suites
from tests.harness.cli.tool import halfopen, results
from tests.machine import needs_guest

pytestmark = needs_guest

TESTS = Path(__file__).parents[1]
WATCHING = f"{TESTS}/correct/watching.py {{host}} {{port}}"
PINGING = f"{TESTS}/correct/pinging.py {{host}} {{port}}"
NEVER_READS = f"{TESTS}/planted/never_reads.py {{host}} {{port}}"

#: Each server, the scenarios of core that it fails, and those that it cannot be asked. The marked ones are red by the
#: same scenarios as a server of test_correct_servers.py, or the quiet twin of another here.
SERVERS = [
    pytest.param(WATCHING, set(), {"frozen_silent"}, id="sound, streaming"),
    pytest.param(
        f"{PINGING} quiet none",
        {"frozen", "frozen_silent", "vanished"},
        {"trickle_silent"},
        id="without a watchdog, quiet",
    ),
    pytest.param(f"{PINGING} quiet", set(), {"trickle_silent"}, id="sound, quiet", marks=pytest.mark.exhaustive),
    pytest.param(
        f"{PINGING} stream none",
        {"frozen", "vanished"},
        {"frozen_silent"},
        id="without a watchdog, streaming",
        marks=pytest.mark.exhaustive,
    ),
    pytest.param(
        f"{PINGING} stream",
        {"outage_longest", "stop_the_world", "trickle_silent"},
        {"frozen_silent"},
        id="too eager",
        marks=pytest.mark.exhaustive,
    ),
]


@pytest.mark.parametrize(("server", "failed", "not_asked"), SERVERS)
def test_core_separates_servers_by_their_watchdogs(
    server: str, failed: set[str], not_asked: set[str], tmp_path: Path
) -> None:
    done = halfopen(
        "run", "--server", f"{sys.executable} {server}", "--clock", "virtual", "--seed", "7", "--out", str(tmp_path)
    )
    words = {run["scenario"]: run["verdict"] for run in results(tmp_path)["runs"]}
    assert list(words) == [scenario.name for scenario in suites.find(["core"])]
    assert {name for name, word in words.items() if word == "failed"} == failed
    assert {name for name, word in words.items() if word == "not_applicable"} == not_asked
    assert set(words.values()) <= {"passed", "failed", "not_applicable"}
    assert done.code == bool(failed), done
    again = [line.split() for line in done.out.splitlines() if line.startswith("again:")]
    assert {words[3] for words in again} == failed


def test_only_a_half_closed_client_shows_that_a_server_never_reads(tmp_path: Path) -> None:
    call = ("run", "core/frozen", "half_closed", "--server", f"{sys.executable} {NEVER_READS}", "--clock", "virtual")
    assert halfopen(*call, "--seed", "7", "--out", str(tmp_path)).code == 1
    words = {run["scenario"]: run["verdict"] for run in results(tmp_path)["runs"]}
    assert words == {"frozen": "passed", "half_closed": "failed"}


@pytest.mark.exhaustive
def test_of_the_pods_detectors_only_one_has_no_fault_in_core(tmp_path: Path) -> None:
    done = halfopen("compare", "core", "--clock", "virtual", "--seed", "7", "--out", str(tmp_path))
    assert done.code == 0, done
    runs = results(tmp_path, "compare.json")["runs"]
    faulty = {run["detector"] for run in runs if run["class"] in {"missed", "false_reap"}}
    assert {run["detector"] for run in runs} - faulty == {"halfopen"}
