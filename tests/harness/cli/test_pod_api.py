"""``--pod-api asyncio``: the pod's twin in ``run`` and ``compare``, on the virtual clock."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from halfopen.cli.compare import chosen
from halfopen.cli.values import PodApiName
from halfopen.model.pod_api import PodApi
from halfopen.run.request import RunRequest, target_of
from halfopen.scenario.spec import PodSpec
from halfopen.scenario.target_spec import PodChoice, TargetSpec
from halfopen.targets.pod import DetectorOptions, PodTarget
from tests.harness.cli.tool import Ran, called, halfopen, results
from tests.machine import needs_guest

TERMS = ("--clock", "virtual", "--seed", "7")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("asyncio")


@pytest.fixture(scope="module")
def ran(out: Path) -> Ran:
    file = out / "twin.toml"
    file.write_text('[target]\npod = { api = "asyncio" }\n')
    return halfopen("run", "pod_5090", "--target", str(file), *TERMS, "--out", str(out))


@needs_guest
def test_the_twin_passes_the_table_of_the_incident_with_its_default_detector(ran: Ran, out: Path) -> None:
    assert ran.code == 0, ran
    assert {run["scenario"]: run["class"] for run in results(out)["runs"]} == {
        "active": "true_keep",
        "backpressured": "true_keep",
        "clean_close": "closed",
        "frozen": "true_reap",
        "paused": "true_keep",
    }


@needs_guest
def test_its_results_say_which_pod_it_was(ran: Ran, out: Path) -> None:
    assert results(out)["target"] == {"kind": "pod", "api": "asyncio"}
    assert "pod (asyncio), detector bytes-acked" in ran.out


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], dict[str, Any]]:
    out = tmp_path_factory.mktemp("compared")
    ran = halfopen("compare", "frozen", "paused", "--pod-api", "asyncio", *TERMS, "--out", str(out))
    assert ran.code == 0, ran
    assert "left out: so-sndtimeo (SO_SNDTIMEO limits sends that block" in ran.out
    runs = json.loads((out / "compare.json").read_text())["runs"]
    return {(run["detector"], run["scenario"]): run for run in runs}


@needs_guest
@pytest.mark.parametrize(
    ("detector", "found"),
    [
        ("halfopen", "true_reap"),
        ("bytes-acked", "true_reap"),
        ("outq", "true_reap"),
        ("ack-stall", "true_reap"),
        ("tcp-user-timeout", "true_reap"),
        # The kernel sends no keepalive probe while anything is queued.
        ("so-keepalive", "missed"),
        # Their ping waits in drain(), before its timeout begins.
        ("ping-timeout", "missed"),
        ("ping-timeout-90", "missed"),
        ("none", "missed"),
    ],
)
def test_who_finds_a_frozen_client_while_streaming(
    detector: str, found: str, compared: dict[tuple[str, str], dict[str, Any]]
) -> None:
    assert compared[detector, "frozen"]["class"] == found


@needs_guest
def test_only_the_superseded_reaper_ends_a_client_that_says_nothing(
    compared: dict[tuple[str, str], dict[str, Any]],
) -> None:
    ended = {
        detector for (detector, scenario), run in compared.items() if (scenario, run["outcome"]) == ("paused", "reaped")
    }
    assert ended == {"ack-stall"}


@pytest.mark.parametrize(
    ("asked", "in_file", "in_scenario", "api"),
    [
        (None, None, None, "sync"),
        (None, None, "asyncio", "asyncio"),
        (None, "asyncio", None, "asyncio"),
        ("sync", "asyncio", "asyncio", "sync"),
        (None, "sync", "asyncio", "sync"),
    ],
)
def test_the_command_line_wins_over_the_target_and_that_over_the_scenario(
    asked: PodApi | None, in_file: PodApi | None, in_scenario: PodApi | None, api: str
) -> None:
    target = TargetSpec(pod=None if in_file is None else PodChoice(in_file))
    options = DetectorOptions(pod_api=asked)
    request = RunRequest(seed=1, grace=30.0, poll=2.0, target=target, detector_options=options)
    pod = target_of(request, None, PodSpec(api=in_scenario))
    assert isinstance(pod, PodTarget)
    assert pod.api == api
    assert pod.arguments() == ([] if asked is None else ["--pod-api", asked])


def test_a_detector_that_cannot_be_there_is_refused() -> None:
    refused = called("run", "frozen", "--pod-api", "asyncio", "--detector", "so-sndtimeo")
    assert refused.code == 2
    assert refused.err.strip().endswith(
        "--detector so-sndtimeo: SO_SNDTIMEO limits sends that block, and no send of an event loop does; choose "
        "another, or leave out --pod-api asyncio"
    )


def test_it_is_refused_for_another_server() -> None:
    refused = called("run", "frozen", "--pod-api", "asyncio", "--server", "x")
    assert "--pod-api asyncio: is for the pod and has no effect on --server; leave one out" in refused.err


def test_compare_leaves_out_what_cannot_be_there() -> None:
    assert set(chosen(None)) - set(chosen(None, PodApiName.ASYNCIO)) == {"so-sndtimeo"}
    assert chosen(["so-sndtimeo"], PodApiName.ASYNCIO) == ["so-sndtimeo"]  # named, it is refused later
