"""Small but whole sweeps on the virtual clock: the curve is the same however it is made, and agrees with arithmetic.

They need a guest kernel (make kernel).
"""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from halfopen.grace.confirmation import DATED_WITHIN
from tests import leftovers
from tests.harness.cli.tool import HALFOPEN, halfopen
from tests.harness.grace.clusters import cluster
from tests.machine import needs_guest

pytestmark = needs_guest

PLANTED = Path(__file__).parents[2] / "planted"
MIX = str(PLANTED / "small_mix.toml")
POLL = 1.0
OF_SESSIONS = ("--mix", MIX, "--no-staircase", "--polls", "1s")
#: More live sessions than share a guest (BATCH_SIZE), so that a sweep can be stopped between batches.
SWEEP = ("grace", *OF_SESSIONS, "--graces", "3s,6s", "--runs", "28", "--seed", "11")
#: Fields about the making of a sweep, not about its measurements.
_OF_THE_MAKING = {"started_at", "wall_s"}


def written(out: Path) -> dict[str, Any]:
    table: dict[str, Any] = json.loads((out / "grace.json").read_text())
    return table


def alike(out: Path) -> tuple[str, str]:
    """Return the parts that must be the same to the last byte."""
    kept = {key: value for key, value in written(out).items() if key not in _OF_THE_MAKING}
    return json.dumps(kept), (out / "grace.csv").read_text()


def resumed(said: str) -> tuple[int, int]:
    """Return how many batches were already done, and how many there are."""
    done, batches = re.findall(r"^resumed: (\d+) of (\d+) batches are done", said, re.MULTILINE)[0]
    return int(done), int(batches)


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make one small sweep, once."""
    out = tmp_path_factory.mktemp("grace") / "out"
    ran = halfopen(*SWEEP, "--out", str(out))
    assert ran.code == 0, ran.out + ran.err
    first, second, *_ = ran.out.splitlines()
    assert "pod, detector bytes-acked, grace 3s, 6s, poll 1s; virtual clock, Linux" in first
    assert second == "21 live and 7 dead sessions of the mix 'Short'"
    assert (
        f"again:   halfopen grace --graces 3s,6s --polls 1s --runs 28 --seed 11 --mix {MIX} --no-staircase" in ran.out
    )
    assert "no recommendation" in (out / "report.html").read_text()
    return out


def test_each_dead_client_is_noticed_between_grace_and_grace_and_poll(swept: Path) -> None:
    for point in written(swept)["points"]:
        frozen, half_closed = point["deaths"]
        assert (frozen["cause"], half_closed["cause"]) == ("frozen", "half-closed")
        assert point["missed"] == point["detection_s"]["outside"] == 0
        # Deaths that the client's kernel announced do not count for the grace.
        assert point["detection_s"]["runs"] == frozen["dead_runs"] > 0
        assert half_closed["dead_runs"] > 0
        for seconds in point["detections_s"]:
            assert point["grace_s"] - DATED_WITHIN <= seconds <= point["grace_s"] + POLL + DATED_WITHIN


def test_the_shorter_grace_kills_some_that_the_longer_spares(swept: Path) -> None:
    short, long = written(swept)["points"]
    assert 0 < short["false_reaps"] < short["alive_runs"]
    assert long["false_reaps"] < short["false_reaps"]
    assert len(list((swept / "draws").glob("*-outage-*.toml"))) == short["false_reaps"]


def test_the_first_line_of_a_session_that_was_killed_kills_it_again(swept: Path) -> None:
    made = alike(swept)
    first = min((swept / "draws").glob("*-outage-*.toml")).read_text().splitlines()[0]
    words = shlex.split(first.removeprefix("# again: halfopen "))
    ran = halfopen(*words)
    assert ran.code == 1, ran.out + ran.err
    assert "failed: a live client was reaped" in ran.out
    assert alike(swept) == made


def test_the_replay_was_confirmed_and_on_so_little_nothing_is_recommended(swept: Path) -> None:
    table = written(swept)
    assert table["confirmations"]["agree"] == table["confirmations"]["runs"] > 0
    assert table["recommended_grace_s"] is None


@pytest.mark.parametrize(
    "numbers",
    [
        pytest.param((signal.SIGINT, signal.SIGTERM), id="SIGINT-SIGTERM"),
        pytest.param((signal.SIGKILL,), id="SIGKILL", marks=pytest.mark.exhaustive),
    ],
)
def test_stopped_and_gone_on_with_it_comes_to_the_same(
    swept: Path, tmp_path: Path, numbers: tuple[signal.Signals, ...]
) -> None:
    """Stop one sweep with one signal and then with the next, so that damage by either shows at its end."""
    for nth, number in enumerate(numbers):
        before = leftovers.take_stock()
        command = [*HALFOPEN, *SWEEP, *(["--resume"] if nth else []), "--jobs", "1", "--out", str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as tool:
            assert tool.stdout is not None
            seen = iter(tool.stdout)
            assert any("sessions; " in line for line in seen)
            tool.send_signal(number)
            said = "".join(seen)
        assert not leftovers.since(before)
        if number is signal.SIGKILL:
            assert tool.returncode == -number
        else:
            assert tool.returncode == 128 + number
            assert said.splitlines()[-1].startswith("interrupted; continue with: halfopen grace --graces 3s,6s")
            assert said.splitlines()[-1].endswith("--resume")
            assert 0 < written(tmp_path)["draws"]["tried"] < written(tmp_path)["draws"]["planned"]
    ran = halfopen(*SWEEP, "--resume", "--jobs", "2", "--out", str(tmp_path))
    assert ran.code == 0, ran.out + ran.err
    done, batches = resumed(ran.out)
    assert 0 < done < batches
    assert alike(tmp_path) == alike(swept)


def test_more_runs_go_on_with_what_fewer_have_left(swept: Path, tmp_path: Path) -> None:
    fewer = [word if word != "28" else "27" for word in SWEEP]
    ran = halfopen(*fewer, "--out", str(tmp_path))
    assert ran.code == 0, ran.out + ran.err
    assert ran.out.splitlines()[2:4] == [
        "at best none of 21 live sessions is reaped, which proves at most 15 % false reaps",
        (
            "no recommendation can come of this: too few to recommend a grace with at most 0.1 %; "
            "--runs 5300 would be enough"
        ),
    ]
    ran = halfopen(*SWEEP, "--resume", "--out", str(tmp_path))
    assert ran.code == 0, ran.out + ran.err
    done, batches = resumed(ran.out)
    assert 0 < done < batches
    assert alike(tmp_path) == alike(swept)


def test_whoever_goes_on_need_not_know_the_seed(swept: Path) -> None:
    made = alike(swept)
    ran = halfopen(*[word for word in SWEEP if word not in {"--seed", "11"}], "--resume", "--out", str(swept))
    assert ran.code == 0, ran.out + ran.err
    assert "seed 11" in ran.out
    assert alike(swept) == made


@pytest.mark.exhaustive
def test_a_cluster_comes_to_the_same(swept: Path, tmp_path: Path) -> None:
    with cluster(tmp_path, 2) as (address, _):
        ran = halfopen(*SWEEP, "--executor", address, "--out", str(tmp_path / "out"))
    assert ran.code == 0, ran.out + ran.err
    assert alike(tmp_path / "out") == alike(swept)


def test_a_servers_own_knob_is_swept(tmp_path: Path) -> None:
    server = f"{sys.executable} {PLANTED / 'pinging.py'} {{host}} {{port}}"
    ran = halfopen(
        *("grace", *OF_SESSIONS, "--server", server, "--grace-arg", "1 {grace}", "--graces", "2s,8s"),
        # Each session takes minutes of lab time. These are six, two of them dead, one for each cause.
        *("--runs", "6", "--seed", "5", "--out", str(tmp_path)),
    )
    assert ran.code == 0, ran.out + ran.err
    short, long = written(tmp_path)["points"]
    assert (short["grace_s"], long["grace_s"]) == (2.0, 8.0)
    assert short["detector"] is None
    # Pinged every second, and given up when a pong takes longer than its timeout.
    assert short["missed"] == long["missed"] == 0
    assert short["after_fault_s"]["max"] + 4 < long["after_fault_s"]["max"]


def test_a_server_that_is_told_nothing_is_one_point_and_that_is_said(tmp_path: Path) -> None:
    server = f"{sys.executable} {PLANTED / 'pinging.py'} {{host}} {{port}} 1 2"
    ran = halfopen(*("grace", *OF_SESSIONS, "--server", server, "--runs", "2", "--seed", "5", "--out", str(tmp_path)))
    assert ran.code == 0, ran.out + ran.err
    assert "one point, not a curve: no option sets the server's grace (--grace-arg)" in ran.out
    assert len(written(tmp_path)["points"]) == 1
