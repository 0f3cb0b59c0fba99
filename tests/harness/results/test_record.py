from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from halfopen.errors import InputError
from halfopen.model.timeline import Timeline
from halfopen.report.page import Lost, render
from halfopen.results import record
from halfopen.run.hindrances import LeftOut
from halfopen.run.request import RunRequest
from halfopen.run.runner import Job, RunResult
from halfopen.scenario import suites
from halfopen.targets.pod import PodTarget
from halfopen.verdict.findings import find
from halfopen.verdict.judge import Timing, Verdict, Word


def done(word: Word, name: str = "frozen") -> RunResult:
    (scenario,) = suites.find([name])
    target, terms = PodTarget("none", 30, 2), Timing(30, 2)
    job = Job(scenario, target, terms, seed=1, repeat=1, ready_within=30, detector="none")
    verdict = Verdict(word, f"because it {word}", "missed", find(Timeline(), scenario))
    return RunResult(job, verdict, Timeline(), 1.5)


def how() -> record.Conditions:
    return record.conditions(RunRequest(seed=1, grace=30, poll=2), [done("passed").job], "real")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["passed", "passed"], 0),
        (["passed", "failed"], 1),
        (["inconclusive", "failed"], 1),
        (["passed", "inconclusive"], 3),
        ([], 0),
    ],
)
def test_exit_codes(words: list[Word], code: int) -> None:
    assert record.exit_code([done(word) for word in words]) == code


def test_junit_tells_failures_from_proofs_that_are_lacking() -> None:
    xml = record.junit(how(), [done("passed"), done("failed"), done("inconclusive")], 9.0)
    assert (xml.tests, xml.failures, xml.errors) == (3, 1, 1)
    text = xml.tostring().decode()  # type: ignore[no-untyped-call]
    assert 'message="because it failed"' in text
    assert 'message="because it inconclusive"' in text


def test_what_was_left_out_is_counted_and_named_with_the_command_that_helps() -> None:
    left_out = LeftOut("satellite", "alive", "needs sch_netem", "halfopen kernel build")
    conditions = dataclasses.replace(how(), left_out=(left_out,))
    assert record.as_table(conditions, [done("passed")], 9.0)["left_out"] == [
        {
            "scenario": "satellite",
            "suite": "alive",
            "why": "needs sch_netem",
            "remedy": "halfopen kernel build",
            "candidate": None,
        }
    ]
    xml = record.junit(conditions, [done("passed")], 9.0)
    assert (xml.tests, xml.skipped, xml.failures, xml.errors) == (2, 1, 0, 0)
    text = xml.tostring().decode()  # type: ignore[no-untyped-call]
    assert 'message="needs sch_netem; to run it: halfopen kernel build"' in text
    assert record.exit_code([done("passed")]) == 0


def test_runs_have_every_key_of_the_contract() -> None:
    table = record.as_table(how(), [done("failed")], 9.0)
    assert set(table) == {
        "halfopen", "started_at", "seed", "clock", "kernel", "congestion_control", "grace_s", "poll_s", "target",
        "detector", "wall_s", "left_out", "runs",
    }  # fmt: skip
    (run,) = table["runs"]
    assert {
        "scenario", "suite", "repeat", "seed", "truth", "expected", "outcome", "class", "verdict", "why", "reason",
        "fault_at_s", "onset_s", "reaped_at_s", "detection_s", "stuck_bytes", "orphan_bytes", "orphan_s",
        "sessions_after", "lock_held_after", "duration_s", "wall_s",
    } <= set(run)  # fmt: skip


def test_all_files_are_written(tmp_path: Path) -> None:
    record.check_folder(tmp_path / "deep" / "out")
    record.write(tmp_path / "deep" / "out", how(), [done("passed")], 9.0)
    found = sorted(str(path.relative_to(tmp_path / "deep" / "out")) for path in tmp_path.rglob("*") if path.is_file())
    assert found == ["junit.xml", "results.json", "timelines/frozen.jsonl"]


def test_whoever_only_looks_takes_nothing_away_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "grace.json").write_text('{"halfopen": "0.1.0"}')
    record.require_writable(tmp_path, tmp_path)
    assert list(tmp_path.iterdir()) == [tmp_path / "grace.json"]
    record.take_away(tmp_path)
    assert list(tmp_path.iterdir()) == []


def written(out: Path) -> list[str]:
    """Write all files of a run into the folder, and return the names of all files in it."""
    record.check_folder(out)
    table = record.write(out, how(), [done("passed")], 9.0)
    (out / "report.html").write_text(render(table, lambda _run: Lost("is missing")))
    return names(out)


def names(out: Path) -> list[str]:
    return sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())


def test_what_an_earlier_call_wrote_is_removed_and_nothing_else(tmp_path: Path) -> None:
    ours = written(tmp_path)
    for name in ("timelines/notes.jsonl", "timelines/kept/frozen.jsonl", "notes.html", "draws.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text('{"t":1}' if name.endswith("jsonl") else "mine")
    record.check_folder(tmp_path)
    assert names(tmp_path) == ["draws.csv", "notes.html", "timelines/kept/frozen.jsonl", "timelines/notes.jsonl"]
    assert set(ours) < set(written(tmp_path))


@pytest.mark.parametrize(
    "name",
    ["results.json", "junit.xml", "report.html", "compare.json", "field.json", "grace.json", "grace.csv",
     "timelines/frozen.jsonl"],
)  # fmt: skip
def test_another_programs_file_is_refused_and_nothing_is_touched(tmp_path: Path, name: str) -> None:
    written(tmp_path)
    (tmp_path / name).write_text("<html>mine" if name.endswith("html") else '["mine"]')
    before = {file: (tmp_path / file).read_bytes() for file in names(tmp_path)}
    with pytest.raises(InputError, match=f"^--out '.*': halfopen did not write {name} in it; name another folder$"):
        record.check_folder(tmp_path)
    record.take_away(tmp_path / "timelines")
    assert {file: (tmp_path / file).read_bytes() for file in names(tmp_path)} == before


def test_a_table_that_names_files_elsewhere_removes_none_of_them(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text("mine")
    out = tmp_path / "out"
    written(out)
    table = json.loads((out / "results.json").read_text())
    table["runs"] = [{"timeline": name} for name in ("../mine.jsonl", str(tmp_path / "mine.jsonl"), None)]
    (out / "results.json").write_text(json.dumps(table))
    record.take_away(out)
    assert (tmp_path / "mine.jsonl").read_text() == "mine"
    assert names(out) == ["timelines/frozen.jsonl"]


def test_a_file_in_the_way_of_the_folder_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError, match="cannot be used: not a directory"):
        record.check_folder(tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"
