"""The candidates that a call of ``halfopen grace`` compares, and those that it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from halfopen import plugins
from halfopen.errors import InputError
from halfopen.grace.sweep import Candidate
from halfopen.grace.sweep_request import SweepRequest, has_own_times, with_grace
from halfopen.pod import detectors as catalogue
from halfopen.scenario.target_spec import TargetSpec

SERVER = TargetSpec(server="serve {port}")


def test_each_detector_meets_each_poll_and_grace_once() -> None:
    asked = SweepRequest((5.0, 30.0), (1.0, 2.0), ("outq", "bytes-acked", "outq"))
    found = [(one.detector, one.grace, one.poll) for one in asked.candidates()]
    expected = [(d, g, p) for d in ("outq", "bytes-acked") for p in (1.0, 2.0) for g in (5.0, 30.0)]
    assert found == expected


def test_by_itself_it_is_the_pods_usual_detector() -> None:
    assert [one.detector for one in SweepRequest((30.0,), (2.0,)).candidates()] == ["bytes-acked"]


def test_a_detector_with_times_of_its_own_is_one_point_whatever_the_graces() -> None:
    asked = SweepRequest((5.0, 60.0), (1.0, 2.0), ("bytes-acked", "ping-timeout-90"))
    found = [(one.grace, one.poll) for one in asked.candidates() if one.detector == "ping-timeout-90"]
    assert found == [(30.0, 1.0)]
    assert len(asked.candidates()) == 5
    assert [name for name in asked.detectors if has_own_times(name)] == ["ping-timeout-90"]


def test_each_of_the_pods_detectors_says_whether_it_is_told_its_grace() -> None:
    """Find the detectors that ignore the settings' grace by their source."""
    folder = Path(next(iter(catalogue.__path__)))
    untold = {name for name in plugins.names(catalogue) if "_settings: Settings" in source(folder, name)}
    assert {name for name in untold if plugins.load(catalogue, name).__dict__.get("OWN_TIMES")} == untold - {"none"}


def source(folder: Path, name: str) -> str:
    return (folder / f"{name.replace('-', '_')}.py").read_text()


@pytest.mark.parametrize("argument", ["--ping-timeout {grace}", "-t {grace_ms}"])
def test_a_server_that_is_told_its_grace_is_a_candidate_for_each(argument: str) -> None:
    found = SweepRequest((5.0, 30.0), (2.0,), target=SERVER, grace_argument=argument).candidates()
    assert [(one.detector, one.grace) for one in found] == [(None, 5.0), (None, 30.0)]


def test_it_is_told_it_in_seconds_and_in_milliseconds() -> None:
    told = with_grace(SERVER, "-t {grace} -w {grace_ms} {grace}", Candidate(2.5, 1.0))
    assert told == TargetSpec(server="serve {port} -t 2.5 -w 2500 2.5")


def test_who_takes_no_grace_is_started_as_described() -> None:
    assert with_grace(SERVER, None, Candidate(2.5, 1.0)) == SERVER
    assert with_grace(TargetSpec(), None, Candidate(2.5, 1.0, "outq")) == TargetSpec()


def test_a_server_that_is_not_told_is_one_point() -> None:
    assert len(SweepRequest((30.0,), (2.0,), target=SERVER).candidates()) == 1


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"detectors": ("bytes-aked",)}, "unknown detector 'bytes-aked'; did you mean 'bytes-acked'?"),
        ({"detectors": ("none",)}, "--detector 'none' reaps nobody"),
        ({"grace_argument": "-t {grace}"}, "--grace-arg '-t {grace}': needs --server"),
        ({"target": SERVER, "detectors": ("outq",)}, "--detector 'outq': is the pod's and has no effect on --server"),
        ({"target": SERVER, "graces": (5.0, 10.0)}, "--graces: 2 of them, but no option sets the grace of --server"),
        ({"target": SERVER, "grace_argument": "-t 5"}, "--grace-arg '-t 5' has neither {grace} nor {grace_ms}"),
        ({"target": SERVER, "polls": (1.0, 2.0)}, "--polls: a --server has a poll of its own"),
        ({"polls": (2.0, 5.0)}, "--polls '5s': longer than 4s, "),
        ({"target": TargetSpec(image="some:image")}, "cannot reach the container engine"),
    ],
)
def test_what_cannot_be_meant_is_refused(changed: dict[str, Any], words: str) -> None:
    asked = SweepRequest(**({"graces": (30.0,), "polls": (2.0,)} | changed))
    with pytest.raises(InputError) as refused:
        asked.candidates()
    assert words in str(refused.value)
