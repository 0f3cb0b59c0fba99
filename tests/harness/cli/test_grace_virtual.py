"""Whole sweeps on the virtual clock, small ones: the same curve each time, and one that is true to arithmetic."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import leftovers
from tests.harness.cli.tool import HALFOPEN, halfopen
from tests.machine import needs_guest

pytestmark = needs_guest

PLANTED = Path(__file__).parents[2] / "planted"
GRACES, POLL = (3.0, 6.0), 1.0
SWEEP = ("grace", "--graces", "3s,6s", "--polls", "1s", "--runs", "30", "--seed", "11", "--no-staircase")
#: What tells of the making and not of what was measured.
_OF_THE_MAKING = {"started_at", "wall_s"}


def written(out: Path) -> dict[str, Any]:
    table: dict[str, Any] = json.loads((out / "grace.json").read_text())
    return table


def alike(out: Path) -> tuple[str, str]:
    """What must be the same to the last byte."""
    kept = {key: value for key, value in written(out).items() if key not in _OF_THE_MAKING}
    return json.dumps(kept), (out / "grace.csv").read_text()


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One small sweep, made once."""
    out = tmp_path_factory.mktemp("grace") / "out"
    ran = halfopen(*SWEEP, "--out", str(out))
    assert ran.code == 0, ran.out + ran.err
    assert "virtual clock, Linux" in ran.out.splitlines()[0]
    assert "again:   halfopen grace --graces 3s,6s --polls 1s --runs 30 --seed 11 --no-staircase" in ran.out
    return out


def test_each_dead_client_is_noticed_between_grace_and_grace_and_poll(swept: Path) -> None:
    points = written(swept)["points"]
    assert [(point["grace_s"], point["poll_s"]) for point in points] == [(grace, POLL) for grace in GRACES]
    for point in points:
        assert point["dead_runs"] > 0
        assert point["missed"] == 0
        assert point["detection_s"]["outside"] == 0
        for seconds in point["detections_s"]:
            # The onset is dated to the kernel's tick, 4 ms, and a look is 8 ms late at most.
            assert point["grace_s"] - 0.012 <= seconds <= point["grace_s"] + POLL + 0.012


def test_the_replay_was_confirmed_and_little_was_not_recommended_on(swept: Path) -> None:
    table = written(swept)
    assert table["confirmations"]["agree"] == table["confirmations"]["runs"] > 0
    assert table["recommended_grace_s"] is None
    assert "more live sessions" in table["recommended_why"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_stopped_and_gone_on_with_it_comes_to_the_same(swept: Path, tmp_path: Path, number: signal.Signals) -> None:
    before = leftovers.take_stock()
    command = [*HALFOPEN, *SWEEP, "--jobs", "1", "--out", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as tool:
        assert tool.stdout is not None
        seen = iter(tool.stdout)
        assert any("sessions; " in line for line in seen)
        tool.send_signal(number)
        said = "".join(seen)
    assert not leftovers.since(before)
    if number is signal.SIGINT:
        assert tool.returncode == 130
        assert "sessions tried so far" in said
        assert said.splitlines()[-1].startswith("interrupted; go on with: halfopen grace --graces 3s,6s")
        assert said.splitlines()[-1].endswith("--resume")
        assert written(tmp_path)["draws"]["tried"] < written(tmp_path)["draws"]["planned"]
    ran = halfopen(*SWEEP, "--resume", "--jobs", "2", "--out", str(tmp_path))
    assert ran.code == 0, ran.out + ran.err
    assert "resumed: " in ran.out
    assert alike(tmp_path) == alike(swept)


def test_whoever_goes_on_need_not_know_the_seed(swept: Path) -> None:
    made = alike(swept)
    without_seed = [word for word in SWEEP if word not in {"--seed", "11"}]
    ran = halfopen(*without_seed, "--resume", "--out", str(swept))
    assert ran.code == 0, ran.out + ran.err
    assert "seed 11" in ran.out
    assert alike(swept) == made


def test_a_cluster_comes_to_the_same(swept: Path, tmp_path: Path) -> None:
    from distributed import LocalCluster  # noqa: PLC0415 (an extra that takes a second)

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        where = f"dask://{cluster.scheduler_address.removeprefix('tcp://')}"
        ran = halfopen(*SWEEP, "--executor", where, "--out", str(tmp_path))
    assert ran.code == 0, ran.out + ran.err
    assert alike(tmp_path) == alike(swept)


def test_a_servers_own_knob_is_swept(tmp_path: Path) -> None:
    server = f"{sys.executable} {PLANTED / 'pinging.py'} {{host}} {{port}}"
    ran = halfopen(
        *("grace", "--server", server, "--grace-arg", "1 {grace}", "--graces", "2s,8s", "--polls", "1s"),
        *("--runs", "8", "--no-staircase", "--seed", "5", "--out", str(tmp_path)),
    )
    assert ran.code == 0, ran.out + ran.err
    short, long = written(tmp_path)["points"]
    assert (short["grace_s"], long["grace_s"]) == (2.0, 8.0)
    assert short["detector"] is None
    # Pinged every second, and given up when a pong takes longer than it was told.
    assert short["after_fault_s"]["p50"] < long["after_fault_s"]["p50"]


def test_a_server_that_is_told_nothing_is_one_point_and_that_is_said(tmp_path: Path) -> None:
    server = f"{sys.executable} {PLANTED / 'pinging.py'} {{host}} {{port}} 1 2"
    ran = halfopen(
        *("grace", "--server", server, "--runs", "4", "--no-staircase", "--seed", "5", "--out", str(tmp_path))
    )
    assert ran.code == 0, ran.out + ran.err
    assert "one point, not a curve: nothing tells the server its grace (--grace-arg)" in ran.out
    assert len(written(tmp_path)["points"]) == 1
