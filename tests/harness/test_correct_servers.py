"""Correct servers: no complaint, and nothing inconclusive. And a server's stream changes no class."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.harness.cli.tool import Ran, by_scenario, halfopen
from tests.machine import needs_guest

pytestmark = needs_guest

CORRECT = Path(__file__).parents[1] / "correct"
WATCHING = f"{sys.executable} {CORRECT}/watching.py {{host}} {{port}}"
PINGING = f"{sys.executable} {CORRECT}/pinging.py {{host}} {{port}}"

#: Dead clients of every kind that the kernel reports differently, and one that leaves.
DEAD = ("frozen", "frozen_then_gone", "acks_lost", "half_closed", "killed", "rebooted", "vanished")
ENDED = ("clean_close",)
#: Live clients that look dead for a while.
ALIVE = ("active", "paused", "bufferbloat", "lossy_20", "satellite", "slow_link")
OUTAGES = ("outage_20s_rtt300", "outage_40s_rtt20", "stop_the_world", "trickle_4k")
#: Live clients that a write deadline of 10 s really ends: those without a working path, or stopped, for about as long;
#: and slow readers, whose pong waits behind all that they have yet to read.
REALLY_ENDED = {
    *(f"outage_{seconds}s_rtt{rtt}" for seconds in (10, 20, 27, 40) for rtt in (20, 300)),
    "outage_longest", "outage_short", "stop_the_world",
    "trickle_4k", "trickle_16k", "trickle_autotuned", "trickle_silent",
}  # fmt: skip


def called(suite: str, names: tuple[str, ...]) -> list[str]:
    return [f"{suite}/{name}" for name in names]


def ran(out: Path, server: str | None, *scenarios: str) -> tuple[Ran, dict[str, dict[str, Any]]]:
    """Run the scenarios against a server; None is the pod with our own detector."""
    who = ("--detector", "halfopen") if server is None else ("--server", server)
    done = halfopen("run", *scenarios, *who, "--clock", "virtual", "--seed", "7", "--out", str(out))
    return done, by_scenario(out)


def words(runs: dict[str, dict[str, Any]], word: str) -> dict[str, str]:
    return {name: run["why"] for name, run in runs.items() if run["verdict"] == word}


SOME = [*called("dead", DEAD), *called("ended", ENDED), *called("alive", ALIVE)]
EVERY = [
    pytest.param([*SOME, *called("alive", OUTAGES)], id="some"),
    pytest.param(["dead", "ended", "alive"], id="all", marks=pytest.mark.exhaustive),
]


@pytest.mark.parametrize("server", [pytest.param(WATCHING, id="asyncio"), pytest.param(None, id="pod")])
@pytest.mark.parametrize("scenarios", EVERY)
def test_a_server_whose_watchdog_asks_the_kernel_is_green(
    scenarios: list[str], server: str | None, tmp_path: Path
) -> None:
    done, runs = ran(tmp_path, server, *scenarios)
    assert (words(runs, "failed"), words(runs, "inconclusive")) == ({}, {})
    assert done.code == 0, done
    assert len(words(runs, "passed")) > len(words(runs, "not_applicable"))


@pytest.mark.parametrize(
    "scenarios",
    [
        pytest.param([*SOME, *called("alive", ("backpressured", "trickle_64k"))], id="some"),
        pytest.param(["dead", "ended", "alive"], id="all", marks=pytest.mark.exhaustive),
    ],
)
def test_a_server_with_a_write_deadline_and_pings_is_green_but_for_what_it_really_ends(
    scenarios: list[str], tmp_path: Path
) -> None:
    done, runs = ran(tmp_path, f"{PINGING} stream", *scenarios)
    failed = words(runs, "failed")
    assert set(failed) == REALLY_ENDED & set(runs), failed
    assert {runs[name]["class"] for name in failed} <= {"false_reap"}
    assert words(runs, "inconclusive") == {}
    assert done.code == bool(failed), done
    assert len(words(runs, "passed")) > len(words(runs, "not_applicable"))


CLASSES = ("killed", "half_closed", "vanished", "frozen")


@pytest.mark.parametrize(
    ("notices", "expected"),
    [
        ("", ["true_reap", "true_reap", "true_reap", "true_reap"]),
        ("none", ["true_reap", "true_reap", "missed", "missed"]),
    ],
    ids=["that-notices", "that-does-not"],
)
@pytest.mark.parametrize("sends", ["stream", "quiet"])
def test_a_stream_changes_no_class(sends: str, notices: str, expected: list[str], tmp_path: Path) -> None:
    _, runs = ran(tmp_path, f"{PINGING} {sends} {notices}", *called("dead", CLASSES))
    assert [runs[name]["class"] for name in CLASSES] == expected
    words_of = {"true_reap": "passed", "missed": "failed"}
    assert [runs[name]["verdict"] for name in CLASSES] == [words_of[klass] for klass in expected]
