"""The pod's detectors with a frozen client and a live one, at production's grace, on the virtual clock."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.harness.cli.tool import by_scenario, halfopen
from tests.machine import needs_guest

pytestmark = needs_guest

GRACE, POLL = 30.0, 2.0
#: The result of each pair of scenario and detector.
Compared = dict[tuple[str, str], dict[str, Any]]
LINK = 'delay = "10ms"\n'
DARK = 'at = "5s"\nfault = "impair"\nloss = "100%"\n'


def ran(names: tuple[str, ...], detector: str, out: Path, *options: str) -> dict[str, dict[str, object]]:
    halfopen("run", *names, "--clock", "virtual", "--detector", detector, *options, "--out", str(out))
    return by_scenario(out)


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Compared:
    """Run every detector with both clients, each ending connections its own way. Shared by many tests."""
    out = tmp_path_factory.mktemp("compared")
    ran = halfopen("compare", "frozen", "paused", "--clock", "virtual", "--seed", "7", "--out", str(out))
    assert ran.code == 0, ran
    runs = json.loads((out / "compare.json").read_text())["runs"]
    return {(run["detector"], run["scenario"]): run for run in runs}


@pytest.mark.parametrize(
    ("detector", "found"),
    [
        ("halfopen", "true_reap"),
        ("bytes-acked", "true_reap"),
        ("outq", "true_reap"),
        ("ack-stall", "true_reap"),
        ("tcp-user-timeout", "true_reap"),
        ("so-sndtimeo", "true_reap"),
        # The kernel sends no keepalive probe while anything is queued.
        ("so-keepalive", "missed"),
        # Their ping waits for the lock of the stuck thread.
        ("ping-timeout", "missed"),
        ("ping-timeout-90", "missed"),
        ("none", "missed"),
    ],
)
def test_who_finds_a_frozen_client_while_streaming(detector: str, found: str, compared: Compared) -> None:
    assert compared[detector, "frozen"]["class"] == found


def test_only_the_superseded_reaper_ends_a_client_that_says_nothing(
    compared: Compared,
) -> None:
    for detector in ("halfopen", "bytes-acked", "outq", "ping-timeout", "so-keepalive"):
        assert compared[detector, "paused"]["class"] == "true_keep"
    assert compared["ack-stall", "paused"]["class"] == "false_reap"


def test_ours_finds_it_within_a_poll_of_the_grace_and_leaves_no_orphan(
    compared: Compared,
) -> None:
    run = compared["halfopen", "frozen"]
    assert isinstance(run["detection_s"], float)
    assert GRACE <= run["detection_s"] <= GRACE + POLL
    assert (run["verdict"], run["reason"], run["orphan_bytes"]) == ("passed", "send_stall", 0)


@pytest.mark.parametrize(
    ("detector", "own", "other"), [("bytes-acked", "shutdown", "reset"), ("halfopen", "reset", "shutdown")]
)
def test_a_shutdown_leaves_an_orphan_and_a_reset_none(
    detector: str, own: str, other: str, compared: Compared, tmp_path: Path
) -> None:
    """Cover each detector's default, and the other setting."""
    told = ran(("frozen",), detector, tmp_path, "--reap", other)["frozen"]
    left = {own: compared[detector, "frozen"], other: told}
    assert [left[reap]["class"] for reap in left] == ["true_reap", "true_reap"]
    assert isinstance(left["shutdown"]["orphan_bytes"], int)
    assert left["shutdown"]["orphan_bytes"] > 100_000
    assert left["reset"]["orphan_bytes"] == 0


def scenario(folder: Path, name: str, truth: str, session: str, step: str) -> str:
    file = folder / f"{name}.toml"
    file.write_text(
        f'title = "x"\nstory = "x"\ntruth = "{truth}"\nclient = "draining"\n[link]\n{LINK}'
        f'[[step]]\n{step}[expect]\nsession = "{session}"\nhold = "3.4 * grace"\n'
    )
    return str(file)


def test_ours_survives_the_outages_that_it_promises_to_and_finds_what_is_longer(tmp_path: Path) -> None:
    files = [scenario(tmp_path, "gone", "dead", "reaped", DARK + LINK)]
    files += [scenario(tmp_path, f"out_{n}", "alive", "kept", f'{DARK}{LINK}for = "{n}s"\n') for n in (27, 40)]
    runs = ran(tuple(files), "halfopen", tmp_path / "out")
    assert {name: run["class"] for name, run in runs.items()} == {
        "gone": "true_reap", "out_27": "true_keep", "out_40": "true_keep",
    }  # fmt: skip
    gone = runs["gone"]
    assert isinstance(gone["detection_s"], float)
    assert 1.5 * GRACE <= gone["detection_s"] <= 3 * GRACE + POLL + 5
    assert gone["reason"] == "unreachable"
    # A shorter limit finds a death sooner, and ends the client whose outage was longer.
    runs = ran((files[0], files[-1]), "halfopen", tmp_path / "shorter", "--outage", "15s")
    assert (runs["out_40"]["class"], runs["gone"]["class"]) == ("false_reap", "true_reap")
