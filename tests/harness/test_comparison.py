"""Each detector at production grace: the facts of the whole comparison that a tenth of its runs shows.

The whole comparison, free of any selection of ours, is in tests/harness/test_full_comparison.py. test_alive.py shows
that the merged rule ends some live clients. cli/test_detectors_virtual.py runs all ten detectors with a frozen and a
paused client.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.harness.cli.tool import halfopen
from tests.harness.test_full_comparison import HIDDEN, of
from tests.machine import needs_guest, needs_haproxy, needs_nginx

pytestmark = [needs_guest, needs_nginx, needs_haproxy]

Table = dict[str, Any]

#: Live clients that a detector ends most easily: the longest outages, the fullest link, a window that hardly moves, a
#: queue that stays at one level, nothing sent at all, a server that is itself starved.
HARD = [
    f"alive/{name}"
    for name in (
        "background_tab", "gil_starved", "lossy_20", "outage_40s_rtt300", "outage_longest", "plateau", "slowest_link",
        "trickle_autotuned", "trickle_silent",
    )
]  # fmt: skip


def compared(out: Path, detectors: str, *names: str) -> Table:
    ran = halfopen(
        *("compare", *names, "--detectors", detectors, "--clock", "virtual", "--seed", "7", "--out", str(out))
    )
    assert ran.code == 0, ran
    found: Table = json.loads((out / "compare.json").read_text())
    return found


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """Run our detector with every death, the live clients most easily taken for dead, and all clients that leave."""
    return compared(tmp_path_factory.mktemp("ours"), "halfopen", "dead", *HARD, "ended")


@pytest.fixture(scope="module")
def blind(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """Run other detectors with deaths that they miss, each for its own reason."""
    names = ("acks_lost", "edge_holds_silent", "frozen_silent", "frozen_small_frames", "vanished", "vanished_silent")
    theirs = "bytes-acked,ping-timeout,so-keepalive"
    return compared(tmp_path_factory.mktemp("blind"), theirs, *(f"dead/{name}" for name in names))


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """Run other detectors with live clients that they end."""
    names = ("alive/plateau", "alive/gil_starved")
    return compared(tmp_path_factory.mktemp("hasty"), "outq,ack-stall,ping-timeout", *names)


def test_of_a_hidden_death_nothing_tells_but_a_rule_of_ours(ours: Table) -> None:
    """Without a detector it would be missed. The server's kernel reports the other deaths, and its socket fails."""
    told = {"connection_lost", "socket_error"}
    dead = [run for run in ours["runs"] if run["truth"] == "dead"]
    assert {run["scenario"] for run in dead if run["reason"] not in told} == HIDDEN
    assert {run["reason"] for run in dead} == told | {"send_stall", "no_answer", "unreachable"}


def test_halfopen_finds_every_death_in_time_and_ends_nobody_alive(ours: Table) -> None:
    assert not [run for run in ours["runs"] if run["verdict"] != "passed"]
    classes = Counter(run["class"] for run in ours["runs"])
    assert set(classes) == {"true_reap", "true_keep", "closed"}
    assert classes["true_reap"] > len(HIDDEN)
    assert classes["true_keep"] == len(HARD)


def test_after_halfopen_no_orphan_stays(ours: Table) -> None:
    assert not [run for run in ours["runs"] if run["orphan_bytes"]]


def test_the_merged_rule_misses_where_it_is_known_to(blind: Table) -> None:
    # Nothing queued; a window that never closes; nothing queued in front of a proxy that answers for the dead client.
    assert of(blind, "bytes-acked", "missed") == {"frozen_silent", "frozen_small_frames", "edge_holds_silent"}


def test_a_ping_is_blind_where_it_waits_for_the_stuck_send(blind: Table) -> None:
    assert "vanished" in of(blind, "ping-timeout", "missed")
    assert {"frozen_silent", "vanished_silent"} <= of(blind, "ping-timeout", "true_reap")


def test_keepalive_is_blind_while_anything_is_queued(blind: Table) -> None:
    assert {"vanished", "acks_lost"} <= of(blind, "so-keepalive", "missed")


def test_the_queue_alone_ends_who_keeps_it_at_one_level(hasty: Table) -> None:
    assert "plateau" in of(hasty, "outq", "false_reap")


def test_a_starved_server_ends_its_client_by_one_detector_or_another(hasty: Table) -> None:
    """In three scenarios the readers of answers race with the detectors that miss them for the interpreter's lock."""
    assert "gil_starved" in of(hasty, "ack-stall", "false_reap") | of(hasty, "ping-timeout", "false_reap")
