"""``halfopen run`` on the virtual clock: the same results as on a real one, and the same ones each time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks.determinism import alike, without_memory
from tests import leftovers
from tests.harness.cli.tool import HALFOPEN, by_scenario, halfopen, results
from tests.machine import UNPRIVILEGED, needs_guest, needs_unshare

pytestmark = needs_guest

VIRTUAL = ("--clock", "virtual")
SERVER = Path(__file__).parents[2] / "planted" / "server.py"


def test_the_matrix_at_production_grace(tmp_path: Path) -> None:
    ran = halfopen("run", *VIRTUAL, "--out", str(tmp_path))
    assert ran.code == 0, ran.out
    table = results(tmp_path)
    assert table["clock"] == "virtual"
    assert table["congestion_control"] == "cubic"
    assert [run["scenario"] for run in table["runs"]] == ["active", "backpressured", "clean_close", "frozen", "paused"]
    runs = by_scenario(tmp_path)
    # Production's settings: grace 30 s, poll 2 s, held for 2.6 graces.
    assert 30.0 <= runs["frozen"]["detection_s"] <= 32.0
    for kept in ("active", "backpressured", "paused"):
        assert 78.0 <= runs[kept]["duration_s"] <= 79.0
    assert table["wall_s"] < sum(run["duration_s"] for run in table["runs"])
    assert "virtual clock, Linux" in ran.out
    assert len(list((tmp_path / "timelines").glob("*.jsonl"))) == 5


def test_the_same_seed_gives_the_same_results_to_the_last_digit(tmp_path: Path) -> None:
    first = run_with_a_seed(tmp_path / "first")
    differ_nowhere(first, run_with_a_seed(tmp_path / "second"))
    # Programs look for more files that are not there: on PATH, for modules, and for a locale.
    elsewhere = {"PYTHONPATH": "/no/such:/folder/at", "LANG": "de_DE.UTF-8", "PATH": f"/no/such:{os.environ['PATH']}"}
    differ_nowhere(first, run_with_a_seed(tmp_path / "third", os.environ | elsewhere))


def differ_nowhere(first: dict[str, list[str]], again: dict[str, list[str]]) -> None:
    assert again.keys() == first.keys()
    for name, lines in again.items():
        assert [pair for pair in zip(lines, first[name], strict=False) if pair[0] != pair[1]][:1] == [], name
        assert len(lines) == len(first[name]), name


def run_with_a_seed(out: Path, environment: Mapping[str, str] | None = None) -> dict[str, list[str]]:
    """Run the matrix and return each file's lines, without what may differ."""
    halfopen("run", *VIRTUAL, "--seed", "7", "--out", str(out), env=environment)
    table = json.dumps(alike(results(out)), indent=1)
    return {path.stem: without_memory(path.read_text()).splitlines() for path in (out / "timelines").iterdir()} | {
        "results": table.splitlines()
    }


def test_the_incident_takes_a_moment(tmp_path: Path) -> None:
    ran = halfopen("run", "wedge", *VIRTUAL, "--out", str(tmp_path))
    assert ran.code == 0, ran.out
    (run,) = results(tmp_path)["runs"]
    assert run["outcome"] == "kept"
    assert run["duration_s"] >= 780.0


def test_a_detector_that_notices_nothing_fails_there_too(tmp_path: Path) -> None:
    ran = halfopen("run", "frozen", *VIRTUAL, "--detector", "none", "--out", str(tmp_path))
    assert ran.code == 1
    assert by_scenario(tmp_path)["frozen"]["class"] == "missed"


def test_a_link_that_this_machine_may_not_be_able_to_make(tmp_path: Path) -> None:
    file = tmp_path / "far.toml"
    file.write_text(
        'title = "Far"\nstory = "Another continent."\ntruth = "alive"\nclient = "acking"\n'
        '[link]\ndelay = "20ms"\n[expect]\nsession = "kept"\nhold = "5s"\n'
    )
    ran = halfopen("run", str(file), "--clock", "auto", "--out", str(tmp_path / "out"))
    assert ran.code == 0, ran.out
    header = ran.out.splitlines()[0]
    assert "virtual clock" in header
    # The machine decides which of the two it is.
    assert "asks for delay on its link, which needs sch_netem, and this kernel" in header or "guest kernel is" in header


def test_a_server_that_ends_everybody_at_the_same_age_proves_nothing(tmp_path: Path) -> None:
    server = f"{sys.executable} {SERVER} {{host}} {{port}} reset 8"
    ran = halfopen(
        "run", "frozen", *VIRTUAL, "--server", server, "--grace", "2s", "--poll", "500ms", "--out", str(tmp_path)
    )
    assert ran.code == 3, ran.out
    run = by_scenario(tmp_path)["frozen"]
    assert (run["class"], run["verdict"]) == ("true_reap", "inconclusive")
    assert run["why"] == "nothing is proved: the server ends an undisturbed session at 8s too"


def test_a_server_that_does_not_start_is_refused(tmp_path: Path) -> None:
    ran = halfopen("run", *VIRTUAL, "--server", "/no/such/server {port}", "--out", str(tmp_path))
    assert ran.code == 2
    assert ran.err.startswith("halfopen: cannot start the server: no such program: '/no/such/server'")
    assert not (tmp_path / "results.json").exists()


def test_a_server_that_never_sleeps_is_given_up(tmp_path: Path) -> None:
    server = f"{sys.executable} -c 'while True: pass' {{port}}"
    ran = halfopen("run", "frozen", *VIRTUAL, "--server", server, "--wall-limit", "5s", "--out", str(tmp_path))
    assert ran.code == 69
    assert "the guest was stopped after 5s of wall time" in ran.err
    assert "'while True: pass'" in ran.err


@pytest.mark.parametrize("option", [("--out", "/dev/shm/out"), ("--writable", "/proc")])
def test_what_the_guest_would_not_see_is_refused(option: tuple[str, str], tmp_path: Path) -> None:
    out = () if option[0] == "--out" else ("--out", str(tmp_path / "out"))
    ran = halfopen("run", "frozen", *VIRTUAL, *option, *out)
    assert (ran.code, ran.out) == (2, "")
    assert option[1] in ran.err


def test_what_only_guests_have_is_refused_without_one(tmp_path: Path) -> None:
    ran = halfopen("run", "frozen", "--kernel", "host", "--wall-limit", "1s", "--out", str(tmp_path))
    assert (ran.code, ran.out) == (2, "")
    assert (
        ran.err
        == "halfopen: --wall-limit: applies only to a guest, and this runs on the machine's own kernel; leave it out\n"
    )


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_however_many_guests_the_order_is_the_calls(jobs: str, tmp_path: Path) -> None:
    ran = halfopen("run", *VIRTUAL, "--grace", "5s", "--jobs", jobs, "--out", str(tmp_path))
    assert ran.code == 0, ran.out
    assert list(by_scenario(tmp_path)) == ["active", "backpressured", "clean_close", "frozen", "paused"]


@needs_unshare
def test_it_needs_no_privilege(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    ran = halfopen("run", "frozen", *VIRTUAL, "--out", str(tmp_path / "out"), under=UNPRIVILEGED)
    assert ran.code == 0, ran.out + ran.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_when_it_is_ended(number: signal.Signals, tmp_path: Path) -> None:
    before = leftovers.take_stock()
    # Many runs, so that there is time to interrupt them.
    command = [*HALFOPEN, "run", "active", "--repeat", "20", *VIRTUAL, "--out", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as tool:
        assert tool.stdout is not None
        assert "virtual clock" in tool.stdout.readline()
        tool.send_signal(number)
        code = tool.wait()
    assert code == {signal.SIGINT: 130, signal.SIGKILL: -9}[number]
    assert not leftovers.since(before)
