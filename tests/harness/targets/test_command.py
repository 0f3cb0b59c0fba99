"""Any command as the server under test: here a pod that is not known to be one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from halfopen.errors import InputError
from halfopen.run.request import RunRequest, jobs
from halfopen.scenario import target_spec
from halfopen.scenario.target_spec import TargetSpec
from halfopen.targets.command import CommandTarget, endpoint_of, guard_words
from tests.harness.cli.tool import by_scenario, halfopen, results
from tests.machine import needs_labs

POD = f"{sys.executable} -m halfopen.pod --host {{host}} --port {{port}}"
TERMS = ("--grace", "1s", "--poll", "500ms")
WATCHED = f"{POD} --grace 1s --poll 500ms"
UNWATCHED = f"{POD} --detector none"


@needs_labs
def test_a_server_with_a_watchdog_passes_by_its_socket_and_its_own_list(tmp_path: Path) -> None:
    ran = halfopen("run", "frozen", "--server", WATCHED, "--sessions", "/sessions", *TERMS, "--out", str(tmp_path))
    run = by_scenario(tmp_path)["frozen"]
    assert (ran.code, run["verdict"], run["class"]) == (0, "passed", "true_reap"), ran
    # It reports no reasons or seats, since it is not known to be a pod.
    assert (run["reason"], run["lock_held_after"], run["sessions_after"]) == (None, None, [])
    table = results(tmp_path)
    assert table["target"] == {"kind": "command", "command": WATCHED}
    assert table["detector"] is None


@needs_labs
def test_a_server_without_one_fails_and_the_command_to_see_it_again_is_whole(tmp_path: Path) -> None:
    ran = halfopen("run", "frozen", "--server", UNWATCHED, *TERMS, "--seed", "9", "--out", str(tmp_path))
    assert ran.code == 1
    assert by_scenario(tmp_path)["frozen"]["class"] == "missed"
    assert by_scenario(tmp_path)["frozen"]["sessions_after"] is None
    again = next(line for line in ran.out.splitlines() if line.startswith("again:"))
    assert f"--seed 9 --grace 1s --poll 500ms --server '{UNWATCHED}'" in again


@needs_labs
def test_a_server_that_sends_nothing_is_judged_all_the_same(tmp_path: Path) -> None:
    silent = tmp_path / "silent.py"
    silent.write_text(
        "import sys\n"
        "from websockets.sync.server import serve\n"
        "with serve(lambda c: c.recv(), sys.argv[1], int(sys.argv[2])) as server: server.serve_forever()\n"
    )
    command = f"{sys.executable} {silent} {{host}} {{port}}"
    ran = halfopen("run", "frozen", "active", "--server", command, *TERMS, "--out", str(tmp_path / "out"))
    assert ran.code == 1
    runs = by_scenario(tmp_path / "out")
    assert {name: (run["verdict"], run["class"]) for name, run in runs.items()} == {
        "frozen": ("failed", "missed"),
        "active": ("passed", "true_keep"),
    }
    assert "the server sent nothing, the client's process ran" in runs["active"]["why"]


def test_a_fault_in_which_the_server_would_have_to_help_is_left_out_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "starved.toml"
    file.write_text(
        'title = "x"\nstory = "x"\ntruth = "alive"\nclient = "acking"\n'
        '[[step]]\nat = "grace"\nfault = "hold-gil"\n[expect]\nsession = "kept"\n'
    )
    ran = halfopen("run", str(file), "--server", UNWATCHED, *TERMS, "--out", str(tmp_path / "out"))
    assert ran.code == 2, ran
    assert "scenario 'starved' needs the built-in server (the pod)" in ran.err


@needs_labs
def test_a_server_that_refuses_the_handshake_fails_and_it_is_said_so(tmp_path: Path) -> None:
    web = f"{sys.executable} -m http.server {{port}} --bind {{host}}"
    ran = halfopen("run", "active", "--server", web, *TERMS, "--out", str(tmp_path))
    run = by_scenario(tmp_path)["active"]
    assert (ran.code, run["verdict"]) == (1, "failed")
    assert "no session could be opened: did not receive a valid HTTP response: unsupported protocol" in run["why"]


@needs_labs
def test_a_session_list_that_is_none_fails(tmp_path: Path) -> None:
    ran = halfopen("run", "active", "--server", WATCHED, "--sessions", "/pool", *TERMS, "--out", str(tmp_path))
    run = by_scenario(tmp_path)["active"]
    assert (ran.code, run["verdict"], run["why"]) == (1, "failed", "GET /pool is no JSON array but dict")


def test_only_host_and_port_are_filled_in() -> None:
    target = CommandTarget(TargetSpec(server="serve --at {host}:{port} --json '{\"a\": {}}'"))
    assert target._words("198.18.1.2", 80) == ["serve", "--at", "198.18.1.2:80", "--json", '{"a": {}}']


def test_a_guard_is_found_whatever_the_environment_hides_from_its_python(tmp_path: Path) -> None:
    (tmp_path / "halfopen.py").write_text("raise SystemExit(99)")
    words = [*guard_words(2.5, 0.5), "sh", "-c", "exit 7"]
    assert words[4:10] == ["guard", "--grace", "2.5s", "--poll", "0.5s", "--"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    assert subprocess.run(words, cwd=tmp_path, env=environment, check=False).returncode == 7


def test_a_guarded_server_is_the_same_server(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[target]\nserver = "serve {port}"\nguard = true\n')
    spec = target_spec.load(file)
    assert spec.name.endswith("/mine guarded")
    assert msgspec.structs.replace(spec, file=None).arguments() == ["--server", "serve {port}", "--guard"]
    request = RunRequest(seed=1, grace=10, poll=2, names=["frozen"], target=spec)
    (job,) = jobs(request)
    assert job.target.describe() == {"kind": "command", "command": "serve {port}", "guard": "halfopen"}
    with pytest.raises(InputError, match="--guard goes with --server"):
        TargetSpec(image="mine", guard=True).check()
    with pytest.raises(InputError, match="--guard goes with --server"):
        TargetSpec(guard=True).check()


def test_an_empty_command_is_refused() -> None:
    with pytest.raises(InputError, match="--server is empty"):
        CommandTarget(TargetSpec(server=" ")).check()


def test_a_server_is_told_what_a_client_has_received_only_if_it_wants_to_know() -> None:
    told = "got {bytes}"
    assert endpoint_of(TargetSpec(server="x"), "ws://x/").acknowledge == ""
    assert endpoint_of(TargetSpec(server="x", acknowledge=told), "ws://x/").acknowledge == told
