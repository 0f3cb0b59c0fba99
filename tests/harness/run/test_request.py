"""The jobs of a call, and their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from halfopen.errors import InputError
from halfopen.run import request
from halfopen.run.request import RunRequest
from halfopen.scenario import suites


def named(call: RunRequest) -> dict[str, str]:
    return {job.label: str(job.timeline_file) for job in request.jobs(call)}


def call(*names: str, **more: object) -> RunRequest:
    return RunRequest(seed=1, grace=30, poll=2, names=list(names), **more)  # type: ignore[arg-type]


@pytest.fixture
def two_suites(tmp_path: Path) -> Path:
    """Make two suites that share the name of one scenario, and one scenario that only one of them has."""
    frozen = next(path for path in suites.shipped()["pod_5090"] if path.stem == "frozen")
    for file in ("x/frozen.toml", "y/frozen.toml", "y/only.toml"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(frozen.read_text())
    return tmp_path


def test_a_run_is_called_by_its_scenario_and_numbered_from_the_second_on() -> None:
    assert named(call("frozen", repeat=2)) == {"frozen": "frozen.jsonl", "frozen-2": "frozen-2.jsonl"}


def test_scenarios_of_one_name_are_told_apart_by_their_suite(two_suites: Path) -> None:
    assert named(call(str(two_suites))) == {
        "x/frozen": "x-frozen.jsonl",
        "y/frozen": "y-frozen.jsonl",
        "only": "only.jsonl",
    }


def test_all_that_is_shipped_can_be_run_at_once() -> None:
    shipped = [path for suite, files in suites.shipped().items() for path in files if suite != "container"]
    assert len(named(call("all"))) == len(shipped)


def test_a_comparison_has_every_scenario_for_every_detector_in_a_folder_of_its_own() -> None:
    made = named(call("frozen", "paused", detectors=["none", "bytes-acked"], comparing=True))
    assert made == {
        "none/frozen": "none/frozen.jsonl",
        "none/paused": "none/paused.jsonl",
        "bytes-acked/frozen": "bytes-acked/frozen.jsonl",
        "bytes-acked/paused": "bytes-acked/paused.jsonl",
    }


def test_a_comparison_of_one_detector_is_one_too() -> None:
    assert named(call("frozen", detectors=["none"], comparing=True)) == {"none/frozen": "none/frozen.jsonl"}


def test_the_same_link_is_drawn_for_every_detector() -> None:
    made = request.jobs(call("frozen", detectors=["none", "bytes-acked"], comparing=True))
    assert len({(job.seed, job.scenario.name, job.repeat) for job in made}) == 1


def test_a_scenario_for_one_detector_compares_none() -> None:
    with pytest.raises(InputError, match="scenario 'wedge' shows the pod's detector 'none' and compares none"):
        request.jobs(call("wedge", detectors=["none"], comparing=True))


def test_a_detector_that_there_is_not() -> None:
    with pytest.raises(InputError, match="unknown detector 'byte-acked'; did you mean 'bytes-acked'"):
        request.jobs(call("frozen", detectors=["none", "byte-acked"], comparing=True))
