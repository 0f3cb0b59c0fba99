"""A message that a client sends first may be longer than an argument of execve(2), which is at most 128 KiB."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.harness.cli.tool import by_scenario, halfopen
from tests.machine import needs_guest, needs_labs

LENGTH = 300_000
SERVER = """\
import sys
from websockets.sync.server import serve

def stream(connection):
    print("received", len(connection.recv()), flush=True)
    while True:
        connection.send("tick")
        try:
            connection.recv(timeout=0.5)
        except TimeoutError:
            pass

with serve(stream, sys.argv[1], int(sys.argv[2]), max_size=None) as server:
    server.serve_forever()
"""


@pytest.mark.parametrize("clock", [pytest.param("real", marks=needs_labs), pytest.param("virtual", marks=needs_guest)])
def test_it_arrives_whole(tmp_path: Path, clock: str) -> None:
    (tmp_path / "server.py").write_text(SERVER)
    target, out = tmp_path / "target.toml", tmp_path / "out"
    server = f"{sys.executable} {tmp_path / 'server.py'} {{host}} {{port}}"
    target.write_text(f"[target]\nserver = '{server}'\nsend = ['{'x' * LENGTH}']\n")
    ran = halfopen("run", "active", "--hold", "2s", "--target", str(target), "--clock", clock, "--out", str(out))
    assert ran.code == 0, ran
    assert by_scenario(out)["active"]["outcome"] == "kept"
    assert f"received {LENGTH}" in (out / "timelines/active.jsonl").read_text()
