"""``halfopen compare`` on the virtual clock: deliberately wrong detectors turn the right cells red."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from halfopen import plugins
from halfopen.cli.compare import chosen
from halfopen.pod import detectors as catalogue
from halfopen.scenario import suites
from halfopen.verdict.judge import Class
from tests.harness.cli.tool import Ran, halfopen
from tests.machine import needs_guest

PLANTED = Path(__file__).parents[2] / "planted" / "scenarios"
TERMS = ("--grace", "6s", "--poll", "1s", "--seed", "7", "--clock", "virtual")
#: A correct detector's result for each scenario.
RIGHT: dict[str, Class] = {
    "active": "true_keep",
    "backpressured": "true_keep",
    "clean_close": "closed",
    "frozen": "true_reap",
    "paused": "true_keep",
    "stopped": "true_keep",
}
#: The cells that each detector turns red, with their class.
WRONG: dict[str, dict[str, Class]] = {
    "bytes-acked": {},
    "none": {"frozen": "missed"},
    "tests.planted.never": {"frozen": "missed"},
    "tests.planted.peer_close_only": {"frozen": "missed"},
    "tests.planted.early": {"stopped": "false_reap"},
    "tests.planted.late": {"frozen": "true_reap"},
    "tests.planted.reap_always": dict.fromkeys(RIGHT, "false_reap"),
}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compare")


@pytest.fixture(scope="module")
def ran(out: Path) -> Ran:
    return halfopen(
        "compare", "pod_5090", str(PLANTED), "--detectors", ",".join(WRONG), *TERMS, "--out", str(out)
    )  # fmt: skip


@pytest.fixture
def table(ran: Ran, out: Path) -> dict[str, Any]:
    assert ran.code == 0, ran
    found: dict[str, Any] = json.loads((out / "compare.json").read_text())
    return found


def runs(table: dict[str, Any], detector: str) -> dict[str, dict[str, Any]]:
    return {run["scenario"]: run for run in table["runs"] if run["detector"] == detector}


@needs_guest
@pytest.mark.parametrize("detector", WRONG)
def test_each_detector_turns_exactly_the_cells_red_in_which_it_is_wrong(table: dict[str, Any], detector: str) -> None:
    its = runs(table, detector)
    assert {name: run["class"] for name, run in its.items() if run["verdict"] == "failed"} == WRONG[detector]
    assert {name: run["class"] for name, run in its.items()} == RIGHT | WRONG[detector]


@needs_guest
def test_what_is_late_is_a_true_reap_that_failed(table: dict[str, Any]) -> None:
    run = runs(table, "tests.planted.late")["frozen"]
    assert run["detection_s"] >= 12
    assert run["why"].endswith("expected within 8s")
    assert run["after_fault_s"] > run["detection_s"]


@needs_guest
def test_every_detectors_classes_are_counted(table: dict[str, Any]) -> None:
    counts = {"true_reap": 1, "missed": 0, "false_reap": 0, "true_keep": 4, "closed": 1}
    assert table["detectors"]["bytes-acked"] == counts
    assert table["detectors"]["tests.planted.early"] == counts | {"true_keep": 3, "false_reap": 1}
    assert list(table["detectors"]) == list(WRONG)
    assert table["summary"]["tests.planted.late"]["failed"] == 1


@needs_guest
def test_every_run_has_its_timeline(table: dict[str, Any], out: Path) -> None:
    files = {str(file.relative_to(out / "timelines")) for file in (out / "timelines").rglob("*.jsonl")}
    assert files == {f"{run['detector']}/{run['scenario']}.jsonl" for run in table["runs"]}


@needs_guest
def test_its_report_is_made_of_its_files_alone(out: Path, ran: Ran) -> None:
    assert f"report: {out / 'report.html'}" in ran.out.splitlines()[-1]
    first = (out / "report.html").read_bytes()
    assert halfopen("report", str(out)).code == 0
    assert (out / "report.html").read_bytes() == first


@needs_guest
def test_it_prints_the_cells_and_a_legend_for_pipes(ran: Ran) -> None:
    (late,) = [line for line in ran.out.splitlines() if line.startswith("late ") and "!" in line]
    assert late.split() == ["late", "k", "k", "c", "12!", "k"]
    assert "7 detectors against 6 scenarios, grace 6s, poll 1s; virtual clock" in ran.out.splitlines()[0]
    assert "M  missed" in ran.out
    assert f"{len(WRONG) * len(RIGHT)} runs in " in ran.out.splitlines()[-1]


@needs_guest
def test_a_cell_that_proves_nothing_is_told_and_makes_the_exit_code_3(tmp_path: Path) -> None:
    file = tmp_path / "unmeant.toml"
    slow = next(path for path in suites.shipped()["pod_5090"] if path.stem == "backpressured").read_text()
    # Faster than the stream, so that no slice is ever shed.
    file.write_text(slow.replace('rate = "96KiB/s"', 'rate = "96MiB/s"').replace('chunk = "4KiB"', 'chunk = "1MiB"'))
    ran = halfopen("compare", str(file), "--detectors", "none", *TERMS, "--out", str(tmp_path / "out"))
    assert ran.code == 3, ran
    assert "none/unmeant: inconclusive: nothing is proved: " in ran.out


def test_a_detector_that_there_is_not_is_refused(tmp_path: Path) -> None:
    ran = halfopen("compare", "frozen", "--detectors", "none,nobody", "--out", str(tmp_path / "out"))
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("halfopen: unknown detector 'nobody'; known are ")
    assert not (tmp_path / "out").exists()


def test_every_detector_is_compared_unless_some_are_named() -> None:
    assert chosen(None) == plugins.names(catalogue)
    assert chosen(["none,bytes-acked", "none"]) == ["none", "bytes-acked"]
