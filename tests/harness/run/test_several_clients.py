"""Whole runs with several clients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.harness.cli.tool import halfopen, results
from tests.machine import needs_guest

pytestmark = needs_guest

SCENARIO = """
title = "Frozen among others"
story = "One of several clients freezes, another is refused, and one takes the seat."
truth = "dead"

[[client]]
behaviour = "draining"
[[client]]
name = "neighbour"
[client.expect]
longest_gap = "2s"
received_at_least = "1MB"
[[client]]
name = "too_many"
at = "8s"
host = "subject"
[client.expect]
session = "refused"
close_code = 1013
[[client]]
name = "next"
at = "end"
[client.expect]
served_within = "1s"

[[step]]
at = "5s"
fault = "freeze"
[[step]]
at = "6s"
fault = "noop"
on = "neighbour"

[expect]
session = "reaped"
within = "grace + poll + 1s"
sessions = 2
"""


def run(folder: Path, *options: str) -> dict[str, Any]:
    file = folder / "several.toml"
    file.write_text(SCENARIO)
    clock = ("--clock", "virtual", "--grace", "10s", "--seed", "7")
    halfopen("run", str(file), *clock, "--out", str(folder / "out"), *options)
    (only,) = results(folder / "out")["runs"]
    assert isinstance(only, dict)
    return only


def test_each_client_of_a_scenario_is_judged(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done["verdict"] == "passed", done["why"]
    assert [(one["client"], one["outcome"], one["verdict"]) for one in done["sessions"]] == [
        ("subject", "reaped", "passed"),
        ("neighbour", "kept", "passed"),
        ("too_many", "refused", "passed"),
        ("next", "kept", "passed"),
    ]
    assert done["sessions"][1]["longest_gap_s"] < 2
    assert done["sessions"][3]["served_after_s"] < 1


def test_a_session_that_is_never_reaped_keeps_the_next_client_out(tmp_path: Path) -> None:
    done = run(tmp_path, "--detector", "none")
    assert [(one["client"], one["outcome"], one["verdict"]) for one in done["sessions"]] == [
        ("subject", "kept", "failed"),
        ("neighbour", "kept", "passed"),
        ("too_many", "refused", "passed"),
        ("next", "refused", "failed"),
    ]
    assert done["verdict"] == "failed"
    assert "(and 1 more failed)" in done["why"]
    assert "expected the session kept" in done["sessions"][3]["why"]


def test_a_scenario_of_one_client_has_no_list_of_sessions(tmp_path: Path) -> None:
    halfopen("run", "clean_close", "--clock", "virtual", "--seed", "7", "--out", str(tmp_path))
    (only,) = results(tmp_path)["runs"]
    assert only["sessions"] == []
