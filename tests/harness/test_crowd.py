"""One dead client among many: the suites bystanders and return, against a sound server and against planted bugs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from halfopen.results import fixes
from tests.harness.cli.tool import by_scenario, halfopen
from tests.machine import needs_guest

pytestmark = needs_guest

CROWD = Path(__file__).parents[1] / "planted" / "crowd.py"
Runs = dict[str, dict[str, Any]]


def ran(out: Path, *words: str) -> Runs:
    halfopen("run", *words, "--clock", "virtual", "--seed", "7", "--out", str(out))
    return by_scenario(out)


def crowd(out: Path, bug: str, *scenarios: str) -> Runs:
    """Run scenarios against the planted server. Return each run."""
    server = ("--server", f"{sys.executable} {CROWD} {{host}} {{port}} {bug}", "--path", "/?client={client}")
    return ran(out, *scenarios, *server, "--sessions", "/sessions", "--sessions-field", "peer")


def complaints(run: dict[str, Any]) -> dict[str, str]:
    """Return the reason of each client that was not as expected."""
    return {entry["client"]: entry["why"] for entry in run["sessions"] if entry["verdict"] != "passed"}


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return ran(tmp_path_factory.mktemp("pod"), "bystanders", "return")


def test_the_pod_serves_all_others_and_lets_its_users_return(pod: Runs) -> None:
    assert {name: run["why"] for name, run in pod.items() if run["verdict"] != "passed"} == {}
    assert len(pod) == 12


def test_the_others_are_observed_through_the_stall_and_beyond_the_reap(pod: Runs) -> None:
    subject, *others = pod["one_frozen"]["sessions"]
    assert subject["outcome"] == "reaped"
    assert len(others) == 4
    for entry in others:
        assert (entry["outcome"], entry["verdict"]) == ("kept", "passed")
        assert entry["longest_gap_s"] < 1
        # 80 kB a second, from before the freeze to five seconds after the reap.
        assert entry["received_bytes"] >= 80_000 * (pod["one_frozen"]["reaped_at_s"] + 4)


def test_a_session_that_its_user_took_over_has_ended_before_its_path_heals(pod: Runs) -> None:
    run = pod["path_heals"]
    assert run["reason"] == "preempted"
    assert 20 <= run["reaped_at_s"] < 30


def test_the_pods_twin_on_asyncio_does_the_same(tmp_path: Path) -> None:
    runs = ran(tmp_path, "one_frozen", "same_address", "path_heals", "--pod-api", "asyncio")
    assert {name: run["why"] for name, run in runs.items() if run["verdict"] != "passed"} == {}


def test_the_planted_server_without_a_bug_passes(tmp_path: Path) -> None:
    names = ("one_frozen", "same_address", "new_address_later", "path_heals")
    runs = crowd(tmp_path, "none", *names)
    assert {name: run["why"] for name, run in runs.items() if run["verdict"] != "passed"} == {}
    assert set(runs) == set(names)


@pytest.mark.parametrize("bug", ["sends_in_turn", "locks_while_sending"])
def test_a_server_that_sends_to_one_after_the_other_starves_the_others(bug: str, tmp_path: Path) -> None:
    run = crowd(tmp_path, bug, "one_frozen")["one_frozen"]
    assert (run["verdict"], run["class"]) == ("failed", "true_reap")
    assert set(complaints(run)) == {f"bystander-{number}" for number in range(1, 5)}
    for why in complaints(run).values():
        assert why.startswith("served nothing for 31")
        assert why.endswith("expected at most 2s")
    assert run["why"].startswith("bystander-1: served nothing for 31")
    assert run["fix"] == f"{fixes.FOLDER}/broadcast.md"


def test_a_reap_that_closes_the_wrong_descriptor_loses_a_bystander(tmp_path: Path) -> None:
    run = crowd(tmp_path, "closes_wrong_descriptor", "one_frozen")["one_frozen"]
    assert run["verdict"] == "failed"
    assert set(complaints(run)) == {"subject", "bystander-1"}
    assert complaints(run)["bystander-1"].startswith("a live client was reaped at ")
    assert complaints(run)["subject"].startswith("session still held ")


def test_a_registry_that_keeps_a_ghost_refuses_its_user_before_the_reap_and_after_it(tmp_path: Path) -> None:
    runs = crowd(tmp_path, "keeps_ghost", "same_address", "new_address_later")
    for run in runs.values():
        assert (run["verdict"], run["class"]) == ("failed", "true_reap")
        refused = f"refused at {run['sessions'][1]['ended_at_s']:.1f}s"
        said = f"{refused}: closed by the server with 4409 'you are connected already'; expected the session kept"
        assert complaints(run) == {"returning": said}
    assert runs["same_address"]["sessions"][1]["ended_at_s"] < runs["same_address"]["reaped_at_s"]
    later = runs["new_address_later"]
    assert later["sessions"][1]["ended_at_s"] > later["reaped_at_s"]


def test_a_server_that_lets_both_sessions_live_has_two_for_one_user(tmp_path: Path) -> None:
    run = crowd(tmp_path, "lets_both_live", "path_heals")["path_heals"]
    assert run["verdict"] == "failed"
    assert complaints(run)["returning"] == "the server lists 2 sessions at the end, expected 1"
    assert complaints(run)["subject"].startswith("session still held ")
