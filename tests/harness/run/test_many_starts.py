"""Servers that need processors to start, on one processor, on a real clock."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pytest

from tests.harness.cli.tool import Ran, by_scenario, halfopen
from tests.machine import needs_guest, needs_labs

ONE_PROCESSOR = ["taskset", "--cpu-list", "0"]
#: Computes for 0.7 s of processor time before it listens, and writes down when it begins and ends to.
HARD = """
import os, sys, time
log = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
os.write(log, b"begun\\n")
while time.process_time() < 0.7:
    pass
os.write(log, b"ended\\n")
from websockets.sync.server import serve
def echo(session):
    for message in session:
        session.send(message)
with serve(echo, sys.argv[2], int(sys.argv[3])) as server:
    server.serve_forever()
"""
COUNT = 4


def ran(place: Path, kernel: str) -> tuple[Ran, list[str]]:
    """Run one short scenario several times at once; return the run, and what its servers wrote down."""
    script, log = place / "hard.py", place / "log" / "starts"
    script.write_text(HARD)
    log.parent.mkdir()
    log.touch()
    done = halfopen(
        *("run", "pod_5090/active", "--repeat", str(COUNT), "--hold", "2s", "--clock", "real", "--kernel", kernel),
        *(["--writable", str(log.parent)] if kernel == "guest" else []),
        *("--server", f"{sys.executable} {script} {log} {{host}} {{port}}", "--out", str(place / "out")),
        under=ONE_PROCESSOR,
    )
    return done, log.read_text().split()


@pytest.mark.parametrize("kernel", [pytest.param("host", marks=needs_labs), pytest.param("guest", marks=needs_guest)])
def test_one_starts_at_a_time_and_all_of_them_run(kernel: str, tmp_path: Path) -> None:
    done, starts = ran(tmp_path, kernel)
    assert done.code == 0, done
    assert {run["verdict"] for run in by_scenario(tmp_path / "out").values()} == {"passed"}
    assert starts == list(itertools.chain.from_iterable([("begun", "ended")] * COUNT))
