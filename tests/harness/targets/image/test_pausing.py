"""A server whose container is paused while its client lives."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.harness.cli.tool import by_scenario
from tests.harness.targets.image.tool import UNWATCHED, events, python, run
from tests.machine import needs_engine, needs_labs

pytestmark = [needs_engine, needs_labs]


def test_a_paused_and_a_stopped_server_keep_their_live_client(tmp_path: Path) -> None:
    # At the tests' grace they would be away too briefly to be observed.
    ran = run("container", "--grace", "4s", "--out", str(tmp_path), command=UNWATCHED)
    found = by_scenario(tmp_path)
    assert ran.code == 0, ran
    for name in ("paused_server", "stopped_server", "long_paused_server"):
        assert "server paused for" in found[name]["why"]
        assert [event["name"] for event in events(tmp_path, name, "fault")] == ["begun", "paused", "undone"]


#: A server that blames its client for a jump of the clock.
TOUCHY = """
import time
from websockets.sync.server import serve
def stream(client):
    last = time.monotonic()
    while time.monotonic() - last < 5:
        last = time.monotonic()
        client.send(bytes(16384))
        time.sleep(0.1)
    client.socket.shutdown(2)
with serve(stream, "0.0.0.0", 8000) as server:
    server.serve_forever()
"""


def test_a_server_that_takes_its_own_pause_for_its_clients_is_seen_to_reap_a_live_one(tmp_path: Path) -> None:
    terms = ("--grace", "5s", "--port", "8000", "--out", str(tmp_path))
    ran = run("paused_server", "long_paused_server", *terms, command=python(TOUCHY))
    found = by_scenario(tmp_path)
    assert (ran.code, found["paused_server"]["class"]) == (1, "true_keep"), ran
    its = found["long_paused_server"]
    assert (its["verdict"], its["class"]) == ("failed", "false_reap"), its
    assert its["reaped_at_s"] > its["fault_at_s"]


def plug_in(folder: Path, monkeypatch: pytest.MonkeyPatch, imports: str, deed: str) -> None:
    """Install a fault under the name ``planted.fault``."""
    (folder / "planted").mkdir()
    (folder / "planted" / "fault.py").write_text(
        f"import contextlib, os\n{imports}\n@contextlib.contextmanager\ndef fault(scene, options):\n"
        f"    {deed}\n    yield\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)


def scenario_file(folder: Path, fault: str) -> str:
    file = folder / "x.toml"
    file.write_text(
        'title = "x"\nstory = "x"\ntruth = "alive"\nclient = { behaviour = "acking", receive_buffer = "128KiB" }\n'
        f'[[step]]\nat = "grace"\nfault = "{fault}"\n[expect]\nsession = "kept"\n'
    )
    return str(file)


def test_what_a_fault_of_somebody_elses_does_to_its_process_proves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plug_in(
        tmp_path, monkeypatch, "from halfopen.faults.noop import Options, signature", "os.kill(scene.server.pid, 9)"
    )
    ran = run(scenario_file(tmp_path, "planted.fault"), "--out", str(tmp_path / "out"))
    assert ran.code == 3, ran
    assert "which is in a container that the lab cannot reach" in by_scenario(tmp_path / "out")["x"]["why"]


def test_a_pause_that_is_not_undone_is_seen_to_the_end_and_its_container_goes_all_the_same(tmp_path: Path) -> None:
    ran = run(scenario_file(tmp_path, "pause"), "--out", str(tmp_path / "out"))
    assert ran.code == 0, ran
    assert "server paused for" in by_scenario(tmp_path / "out")["x"]["why"]


def test_a_pause_that_is_said_and_does_not_happen_proves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plug_in(
        tmp_path,
        monkeypatch,
        "from halfopen.faults.pause import NEEDS_CONTAINER, Options, signature",
        "scene.note('paused', by=options.by)",
    )
    ran = run(scenario_file(tmp_path, "planted.fault"), "--grace", "4s", "--out", str(tmp_path / "out"))
    assert ran.code == 3, ran
    assert "the server was to be paused, but wrote " in by_scenario(tmp_path / "out")["x"]["why"]
