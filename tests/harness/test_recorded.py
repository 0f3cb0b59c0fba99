"""The judge on timelines of real runs (tests/fixtures/record.py)."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from halfopen.model import timeline
from halfopen.model.timeline import Timeline
from halfopen.scenario import suites
from halfopen.scenario.spec import Scenario
from halfopen.verdict.judge import Class, Verdict, Word, judge
from tests.fixtures.record import FOLDER, PLANTED, RECORDED, TERMS, file

SCENARIOS = {scenario.name: scenario for scenario in suites.find(["pod_5090", str(PLANTED)])}


def recorded(detector: str, scenario: str, folder: Path) -> Timeline:
    unpacked = folder / "timeline.jsonl"
    unpacked.write_bytes(gzip.decompress(file(detector, scenario).read_bytes()))
    return timeline.read(unpacked)


def verdict(scenario: Scenario, seen: Timeline) -> Verdict:
    return judge(scenario, seen, TERMS)


@pytest.mark.parametrize(("run", "known"), RECORDED.items(), ids=["-".join(run) for run in RECORDED])
def test_what_was_recorded_is_judged_as_it_is_known_to_be(
    run: tuple[str, str], known: tuple[Word, Class], tmp_path: Path
) -> None:
    seen = verdict(SCENARIOS[run[1]], recorded(*run, tmp_path))
    assert (seen.word, seen.klass) == known, seen.why


@pytest.mark.parametrize("run", [run for run, known in RECORDED.items() if known[0] == "passed"], ids="-".join)
def test_what_passed_proves_nothing_when_it_was_cut_off_in_the_middle(run: tuple[str, str], tmp_path: Path) -> None:
    whole, scenario = recorded(*run, tmp_path), SCENARIOS[run[1]]
    until = whole.samples[-1].t / 4
    assert verdict(scenario, whole.between(0, until)).word == "inconclusive"


@pytest.mark.parametrize("name", ["frozen", "stopped"])
def test_a_client_that_never_froze_is_not_taken_for_one_that_did(name: str, tmp_path: Path) -> None:
    """The samples are a live client's. Only the event that begins the fault is added."""
    live = recorded("bytes-acked", "paused", tmp_path)
    told = recorded("bytes-acked", name, tmp_path).of("fault", "begun", "undone")
    assert verdict(SCENARIOS[name], timeline.make(live.samples, [*live.events, *told])).word != "passed"


def test_nothing_is_kept_that_is_not_judged() -> None:
    assert {one.name for one in FOLDER.iterdir()} == {file(*run).name for run in RECORDED}
