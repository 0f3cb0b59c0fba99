"""The determinism benchmark's idea of equal results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.determinism import Found, Way, fingerprint, table

TABLE = {"seed": 7, "started_at": "today", "wall_s": 1.0, "runs": [{"detection_s": 30.42, "wall_s": 0.5}]}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "timelines").mkdir()
    (tmp_path / "timelines" / "frozen.jsonl").write_text('{"t":1.0}\n')
    (tmp_path / "results.json").write_text(json.dumps(TABLE))
    return tmp_path


def changed(out: Path, **values: Any) -> str:
    (out / "results.json").write_text(json.dumps(TABLE | values))
    return fingerprint(out)


def test_wall_times_and_the_time_it_was_started_at_do_not_count(out: Path) -> None:
    same = fingerprint(out)
    assert same == changed(out, started_at="tomorrow", wall_s=2.0, runs=[{"detection_s": 30.42, "wall_s": 0.6}])


def test_the_last_digit_counts(out: Path) -> None:
    assert fingerprint(out) != changed(out, runs=[{"detection_s": 30.4201, "wall_s": 0.5}])


def test_the_order_counts(out: Path) -> None:
    before = fingerprint(out)
    (out / "results.json").write_text(json.dumps(dict(reversed(TABLE.items()))))
    assert fingerprint(out) != before


def test_every_byte_of_a_timeline_counts_and_its_name(out: Path) -> None:
    before = fingerprint(out)
    file = out / "timelines" / "frozen.jsonl"
    moved = file.rename(file.with_name("paused.jsonl"))
    renamed = fingerprint(out)
    moved.rename(file)
    file.write_text('{"t":1.1}\n')
    assert len({before, renamed, fingerprint(out)}) == 3


def test_each_way_is_told_apart_from_those_above_it() -> None:
    def found(name: str, *prints: str) -> Found:
        return Found(Way(name, len(prints)), prints, (2.0,) * len(prints), "6.12")

    rows = table({"one": [found("a", "x", "x", "y"), found("b", "x"), found("c", "z", "x")], "two": [found("d", "q")]})
    assert [row.split("|")[4].strip() for row in rows.splitlines()[2:]] == ["1", "none", "1", "none"]
