"""A container image as the server under test, made here of this machine's Python and the pod."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import engine
from tests.harness.cli.tool import HALFOPEN, by_scenario, halfopen, results
from tests.harness.targets.image.tool import TERMS, UNWATCHED, events, health_check, python, run
from tests.machine import needs_engine, needs_labs

pytestmark = [needs_engine, needs_labs]

PATIENCE = 60.0


def test_a_server_with_a_watchdog_passes_by_its_socket_and_its_own_list(tmp_path: Path) -> None:
    ran = run("frozen", "active", "--sessions", "/sessions", "--out", str(tmp_path))
    found = by_scenario(tmp_path)
    assert (ran.code, found["frozen"]["class"], found["active"]["class"]) == (0, "true_reap", "true_keep"), ran
    assert found["frozen"]["sessions_after"] == []
    assert results(tmp_path)["target"] == {"kind": "image", "image": engine.IMAGE}
    assert "real clock" in ran.out.splitlines()[0]
    assert "(a guest has no container engine)" in ran.out.splitlines()[0]


def test_it_can_be_described_by_a_file(tmp_path: Path) -> None:
    file = tmp_path / "target.toml"
    told = f'image = "{engine.IMAGE}"\ncommand = "{UNWATCHED}"\nsessions = "/sessions"\n'
    file.write_text(f"[target]\n{told}")
    ran = halfopen("run", "active", "--target", str(file), *TERMS, "--out", str(tmp_path / "out"))
    assert ran.code == 0, ran
    assert by_scenario(tmp_path / "out")["active"]["sessions_after"]


def test_doctor_names_the_engine() -> None:
    assert "  ok  containers: engine " in halfopen("doctor").out


def test_a_server_without_one_fails_and_the_command_to_see_it_again_is_whole(tmp_path: Path) -> None:
    ran = run("frozen", "--env", "NOISE=a b", "--seed", "9", "--out", str(tmp_path), command=UNWATCHED)
    assert (ran.code, by_scenario(tmp_path)["frozen"]["class"]) == (1, "missed"), ran
    again = next(line for line in ran.out.splitlines() if line.startswith("again:"))
    assert f"--image {engine.IMAGE} --command '{UNWATCHED}' --env 'NOISE=a b'" in again


def test_what_it_prints_is_in_the_timeline_with_the_stream_that_it_came_by(tmp_path: Path) -> None:
    code = "import os, sys; print('to out', flush=True); print('to err', file=sys.stderr); os.execvp(*{!r})"
    words = shlex.split(UNWATCHED.replace("{host}", "0.0.0.0").replace("{port}", "8000"))
    ran = run("active", "--port", "8000", "--out", str(tmp_path), command=python(code.format((words[0], words))))
    assert ran.code == 0, ran
    said = {event["data"]["text"]: event["data"].get("stream") for event in events(tmp_path, "active", "target")}
    assert (said["to out"], said["to err"]) == (None, "stderr")


def test_it_listens_on_the_port_that_its_image_exposes_and_is_waited_for_until_it_is_healthy(
    tmp_path: Path, address: str
) -> None:
    serve = UNWATCHED.replace("{host}", "0.0.0.0").replace("{port}", "8123")
    # Healthy from the second check on.
    look = health_check("--interval=50ms", "import os; os.path.exists('/looked') or exit(os.mkdir('/looked') or 1)")
    changes = ["EXPOSE 8123", f"CMD {json.dumps(serve.split())}", look]
    with engine.changed(address, "healthy", *changes) as image:
        ran = run("active", "--out", str(tmp_path), command=None, image=image)
    assert ran.code == 0, ran


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("scenario", ["active", "paused_server"])
def test_however_the_tool_ends_its_containers_are_removed(
    number: signal.Signals, scenario: str, tmp_path: Path, address: str
) -> None:
    command = [*HALFOPEN, "run", scenario, "--image", engine.IMAGE, "--command", UNWATCHED, "--grace", "1h"]
    with subprocess.Popen([*command, "--out", str(tmp_path)], stdout=subprocess.DEVNULL) as tool:
        try:
            until(lambda: bool(engine.containers(address, paused=scenario == "paused_server")))
            assert tool.poll() is None
            tool.send_signal(number)
            until(lambda: tool.poll() is not None)
        finally:
            tool.kill()
    until(lambda: not engine.containers(address))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
