"""grace.json and grace.csv: they can be read back, and the same sessions give the same files."""

from __future__ import annotations

import csv
import dataclasses
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from halfopen.grace import files
from halfopen.grace.estimates import estimate
from tests.harness.grace import made
from tests.harness.grace.made import HOW

SWEEP = made.sweep(made.candidates("bytes-acked", graces=(5.0, 30.0)), runs=60, dead=6)
OUTCOMES = made.outcomes(SWEEP)


@pytest.fixture(scope="module")
def table() -> dict[str, Any]:
    return files.as_table(SWEEP, estimate(SWEEP, OUTCOMES), HOW)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "grace.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_what_is_written_is_read_back(table: dict[str, Any], tmp_path: Path) -> None:
    files.write(tmp_path, table)
    assert json.loads((tmp_path / "grace.json").read_text()) == table


def test_a_point_has_what_scripts_rely_on(table: dict[str, Any]) -> None:
    for point, grace in zip(table["points"], (5.0, 30.0), strict=True):
        assert point["grace_s"] == grace
        assert grace <= point["detection_s"]["p50"] <= point["detection_s"]["p99"] <= grace + 2
        assert point["alive_runs"] == 60
        assert point["false_reap_rate"] == pytest.approx(point["false_reaps"] / 60)
        low, high = point["ci95"]
        assert low <= point["false_reap_rate"] <= high
    assert table["recommended_grace_s"] is None
    assert "too little is known" in table["recommended_why"]


def test_causes_add_up_to_their_point(table: dict[str, Any]) -> None:
    for point in table["points"]:
        assert sum(one["false_reaps"] for one in point["causes"]) == point["false_reaps"]
        assert sum(one["dead_runs"] for one in point["deaths"]) == point["dead_runs"]


def test_the_csv_says_the_same(table: dict[str, Any], tmp_path: Path) -> None:
    files.write(tmp_path, table)
    found = rows(tmp_path)
    assert tuple(found[0]) == files.COLUMNS
    for point in table["points"]:
        its = [one for one in found if float(one["grace_s"]) == point["grace_s"]]
        (everybody,) = [one for one in its if (one["part"], one["cause"]) == ("mix", "all")]
        assert int(everybody["reaped"]) == point["false_reaps"]
        assert float(everybody["rate"]) == point["false_reap_rate"]
        steps = [one for one in its if one["part"] == "staircase"]
        assert len(steps) == sum(len(one["outage_s"]) for one in point["outages"]) == 360
        assert {one["runs"] for one in steps} == {"4"}
        assert all(int(one["runs"]) == int(one["kept"]) + int(one["reaped"]) for one in its)


def test_the_staircase_is_told_with_its_stalls(table: dict[str, Any]) -> None:
    (trip,) = [one for one in table["stalls"] if one["rtt_s"] == 0.3]
    assert trip["outage_s"] == [float(length) for length in range(1, 121)]
    assert all(outage < most for outage, most in zip(trip["outage_s"], trip["most_s"], strict=True))
    assert all(least <= most for least, most in zip(trip["least_s"], trip["most_s"], strict=True))


def test_the_same_sessions_in_another_order_give_the_same_bytes(table: dict[str, Any], tmp_path: Path) -> None:
    later = dataclasses.replace(HOW, started_at="2026-02-02T00:00:00+00:00", wall=99.0)
    shuffled = random.Random(3).sample(OUTCOMES, len(OUTCOMES))
    for name, one in (("a", table), ("b", files.as_table(SWEEP, estimate(SWEEP, shuffled), later))):
        (tmp_path / name).mkdir()
        files.write(tmp_path / name, one)
    first, second = ((tmp_path / name / "grace.json").read_text() for name in ("a", "b"))
    assert first != second
    made_when = r'^  "(started_at|wall_s)": .*$'
    assert re.sub(made_when, "", first, flags=re.MULTILINE) == re.sub(made_when, "", second, flags=re.MULTILINE)
    assert (tmp_path / "a" / "grace.csv").read_bytes() == (tmp_path / "b" / "grace.csv").read_bytes()


def test_a_sweep_of_which_nothing_is_known_is_written_too(tmp_path: Path) -> None:
    files.write(tmp_path, files.as_table(SWEEP, estimate(SWEEP, []), HOW))
    table = json.loads((tmp_path / "grace.json").read_text())
    assert table["draws"]["tried"] == 0
    assert table["points"][0]["ci95"] is None
    assert rows(tmp_path)
