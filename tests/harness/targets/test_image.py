"""A container image as the server under test: made here, of this machine's own Python and the pod."""

from __future__ import annotations

import json
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import timeline
from harness.faults import noop, pause
from harness.timeline import Timeline
from tests import engine
from tests.harness.cli.tool import HALFOPEN, Ran, by_scenario, halfopen, results
from tests.machine import UNPRIVILEGED, needs_engine, needs_labs, needs_unshare

pytestmark = [needs_engine, needs_labs]

TERMS = ("--grace", "1s", "--poll", "500ms")
POD = f"{engine.PYTHON} -m harness.pod --host {{host}} --port {{port}}"
WATCHED = f"{POD} --grace 1s --poll 500ms"
UNWATCHED = f"{POD} --detector none"
PATIENCE = 60.0


@pytest.fixture(scope="module", autouse=True)
def address() -> Iterator[str]:
    """The engine's, which is in the environment too."""
    with engine.running() as found, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", found)
        with engine.image(found):
            yield found


@pytest.fixture(autouse=True)
def no_container_is_left(address: str) -> Iterator[None]:
    yield
    assert engine.containers(address) == []


def run(*arguments: str, command: str | None = WATCHED, image: str = engine.IMAGE, **options: Any) -> Ran:
    its = [] if command is None else ["--command", command]
    return halfopen("run", *TERMS, *arguments, "--image", image, *its, **options)


def refused(*arguments: str, command: str | None = WATCHED, **options: Any) -> str:
    """The one line with which it is refused."""
    ran = run("active", *arguments, command=command, **options)
    assert ran.code == 2, ran
    (line,) = [line for line in ran.err.splitlines() if line.startswith("halfopen: ")]
    return line.removeprefix("halfopen: ")


def python(code: str) -> str:
    return f"{engine.PYTHON} -c {shlex.quote(code)}"


def health_check(options: str, code: str) -> str:
    """As an instruction of a Dockerfile, for an image without a shell."""
    return f"HEALTHCHECK {options} CMD {json.dumps([engine.PYTHON, '-c', code])}"


def test_a_server_with_a_watchdog_passes_by_its_socket_and_its_own_list(tmp_path: Path) -> None:
    ran = run("frozen", "active", "--sessions", "/sessions", "--out", str(tmp_path))
    found = by_scenario(tmp_path)
    assert (ran.code, found["frozen"]["class"], found["active"]["class"]) == (0, "true_reap", "true_keep"), ran
    assert found["frozen"]["sessions_after"] == []
    assert results(tmp_path)["target"] == {"kind": "image", "image": engine.IMAGE}
    assert "real clock" in ran.out.splitlines()[0]
    assert "(a guest has no container engine)" in ran.out.splitlines()[0]


def test_a_server_without_one_fails_and_the_command_to_see_it_again_is_whole(tmp_path: Path) -> None:
    ran = run("frozen", "--env", "NOISE=a b", "--seed", "9", "--out", str(tmp_path), command=UNWATCHED)
    assert (ran.code, by_scenario(tmp_path)["frozen"]["class"]) == (1, "missed"), ran
    again = next(line for line in ran.out.splitlines() if line.startswith("again:"))
    assert f"--image {engine.IMAGE} --command '{UNWATCHED}' --env 'NOISE=a b'" in again


def test_a_paused_and_a_stopped_server_keep_their_live_client(tmp_path: Path) -> None:
    # At the tests' grace they would be away for too short a time to be seen to be.
    ran = run("container", "--grace", "4s", "--out", str(tmp_path), command=UNWATCHED)
    found = by_scenario(tmp_path)
    assert ran.code == 0, ran
    for name in ("paused_server", "stopped_server"):
        assert "server paused for" in found[name]["why"]
        assert [event["name"] for event in events(tmp_path, name, "fault")] == ["begun", "paused", "undone"]


def test_a_pause_that_is_not_undone_is_seen_to_the_end_and_its_container_goes_all_the_same(tmp_path: Path) -> None:
    file = tmp_path / "for_good.toml"
    file.write_text(
        'title = "x"\nstory = "x"\ntruth = "alive"\nclient = { behaviour = "acking", receive_buffer = "128KiB" }\n'
        '[[step]]\nat = "grace"\nfault = "pause"\n[expect]\nsession = "kept"\n'
    )
    ran = run(str(file), "--out", str(tmp_path / "out"))
    assert ran.code == 0, ran
    assert "server paused for" in by_scenario(tmp_path / "out")["for_good"]["why"]


def test_a_pause_that_does_not_happen_proves_nothing(tmp_path: Path) -> None:
    """What a run shows without it, read as if it had been said to be there."""
    ran = run("active", "--out", str(tmp_path))
    assert ran.code == 0, ran
    seen = timeline_of(tmp_path, "active")
    assert noop.signature(seen).shown
    assert not pause.signature(seen).shown


def events(out: Path, name: str, kind: str) -> list[dict[str, Any]]:
    lines = map(json.loads, (out / "timelines" / f"{name}.jsonl").read_text().splitlines())
    return [line for line in lines if line["kind"] == kind]


def timeline_of(out: Path, name: str) -> Timeline:
    return timeline.read(out / "timelines" / f"{name}.jsonl")


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
    # Well from the second look on.
    look = health_check("--interval=50ms", "import os; os.path.exists('/looked') or exit(os.mkdir('/looked') or 1)")
    changes = ["EXPOSE 8123", f"CMD {json.dumps(serve.split())}", look]
    with engine.changed(address, "healthy", *changes) as image:
        ran = run("active", "--out", str(tmp_path), command=None, image=image)
    assert ran.code == 0, ran


def test_one_that_is_unhealthy_is_refused_with_what_its_check_said(address: str) -> None:
    sick = health_check("--interval=50ms --retries=1", "print('no database'); exit(1)")
    with engine.changed(address, "sick", sick) as image:
        said = refused(image=image)
    expected = "the container of 'halfopen-test:sick' is unhealthy; its health check said: no database"
    assert said.startswith(expected)


def test_one_that_does_not_become_healthy_is_given_up(address: str) -> None:
    with engine.changed(address, "slow", health_check("--interval=1h", "0")) as image:
        said = refused("--ready", "1s", image=image)
    expected = "the container of 'halfopen-test:slow' is not healthy after 1s; give it more time with --ready"
    assert said.startswith(expected)


def test_one_that_ends_is_told_with_its_exit_code_and_its_last_words() -> None:
    said = refused("--port", "80", command=python("import sys; sys.exit('out of order')"))
    assert "ended with exit code 1" in said
    assert said.endswith("; it said: out of order")


def test_one_that_does_not_listen_is_given_up() -> None:
    said = refused("--port", "80", "--ready", "1s", command=python("import time; time.sleep(3600)"))
    assert said.startswith(f"the server does not listen on port 80 after 1s: '{engine.IMAGE}'; name the port that it")


def test_one_that_listens_on_another_port_is_told_so() -> None:
    said = refused("--port", "80", "--ready", "3s", command=POD.replace("{port}", "8000"))
    assert "does not listen on port 80 after 3s, but on port 8000" in said


def test_one_whose_command_is_not_in_the_image_is_told_so() -> None:
    said = refused("--port", "80", command="/no/such/program")
    assert said.startswith("cannot start the container: ")
    assert "/no/such/program" in said


def test_one_that_listens_to_itself_only_is_told_so() -> None:
    assert "listens on 127.0.0.1:" in refused(command=POD.replace("{host}", "127.0.0.1"))


def test_a_port_that_nobody_names_is_asked_for() -> None:
    said = refused(command=python("0"))
    assert said.startswith(f"--image: the image '{engine.IMAGE}' exposes no port; name the port that it listens on")


def test_an_image_that_the_engine_does_not_have_is_not_pulled() -> None:
    said = refused(image="no-such/image:1")
    assert said == "--image: the engine has no image 'no-such/image:1'; get it first: docker pull no-such/image:1"


def test_no_engine_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    assert refused().startswith(f"--image needs a container engine: there is no socket {tmp_path}/none; start one")
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(f"{tmp_path}/none")
        assert "nobody answers at" in refused()


def test_an_engine_elsewhere_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.1:2375")
    assert "the engine must be on this machine" in refused()


def test_without_the_docker_package_the_way_to_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docker.py").write_text("raise ImportError")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert refused().endswith("needs the docker package; install it with: pip install 'halfopen[docker]'")


@needs_unshare
def test_it_needs_root() -> None:
    assert refused(under=UNPRIVILEGED).startswith("--image needs root: ")


@pytest.mark.parametrize("other", [("--clock", "virtual"), ("--kernel", "guest")])
def test_a_guest_is_no_place_for_it(other: tuple[str, str]) -> None:
    assert refused(*other).startswith(f"{' '.join(other)} is a guest's, and from there no container engine is in reach")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("scenario", ["active", "paused_server"])
def test_however_the_tool_ends_its_containers_are_removed(
    number: signal.Signals, scenario: str, tmp_path: Path, address: str
) -> None:
    command = [*HALFOPEN, "run", scenario, "--image", engine.IMAGE, "--command", UNWATCHED, "--grace", "1h"]
    tool = subprocess.Popen([*command, "--out", str(tmp_path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: engine.containers(address, paused=scenario == "paused_server") or tool.poll() is not None)
    assert tool.poll() is None
    tool.send_signal(number)
    tool.wait()
    until(lambda: not engine.containers(address))


def until(condition: Any) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
