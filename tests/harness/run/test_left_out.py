"""Requested scenarios that cannot be run here: left out and reported, or refused."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from halfopen.errors import InputError
from halfopen.proxies import nginx
from halfopen.run import hindrances, request
from halfopen.run.request import RunRequest
from halfopen.scenario.target_spec import TargetSpec

SERVER = "python server.py {host} {port}"


def call(*names: str, server: str | None = None) -> RunRequest:
    return RunRequest(seed=1, grace=30, poll=2, names=list(names), target=TargetSpec(server=server))


def notes(asked: RunRequest) -> list[str]:
    return hindrances.notes(request.left_out(asked))


def test_what_only_the_pod_can_do_is_left_out_for_a_server_with_the_reason() -> None:
    asked = call("dead/frozen", "dead/frozen_tls", "ended/preempted", server=SERVER)
    assert [job.scenario.called for job in request.jobs(asked)] == ["frozen"]
    why = "needs the built-in server (the pod); leave out the scenario, or --server"
    assert notes(asked) == [f"left out: dead/frozen_tls, ended/preempted ({why})"]


def test_nothing_is_left_out_for_the_pod() -> None:
    assert notes(call("dead/frozen", "dead/frozen_tls", "wedge")) == []


def test_what_is_done_to_a_container_is_left_out_where_there_is_none() -> None:
    for asked in (call("dead/frozen", "paused_server"), call("dead/frozen", "paused_server", server=SERVER)):
        assert [job.scenario.name for job in request.jobs(asked)] == ["frozen"]
        assert notes(asked) == [
            "left out: container/paused_server (pauses the server's container; give it one with --image)"
        ]


def test_what_needs_a_discipline_that_the_kernel_lacks_is_left_out_with_the_command_that_helps() -> None:
    asked = msgspec.structs.replace(call("dead/frozen", "satellite"), lacking={"netem": "halfopen kernel build"})
    assert [job.scenario.name for job in request.jobs(asked)] == ["frozen"]
    [line] = notes(asked)
    assert line.startswith("left out: alive/satellite (asks for delay on its link, which needs sch_netem, and this ")
    assert line.endswith(" has none; to run it: halfopen kernel build)")
    assert hindrances.remedies(request.left_out(asked)) == ["to run 1 of those left out: halfopen kernel build"]


def test_a_call_of_which_nothing_remains_is_refused() -> None:
    with pytest.raises(InputError, match=r"scenario 'frozen_tls' needs the built-in server \(the pod\)"):
        request.jobs(call("dead/frozen_tls", server=SERVER))


def test_what_needs_a_proxy_that_is_not_installed_is_left_out_with_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(nginx, "PROGRAM", "no-such-proxy")
    monkeypatch.chdir(tmp_path)
    asked, why = call("dead/frozen", "dead/edge_holds"), "needs no-such-proxy, which is not installed"
    assert [job.scenario.name for job in request.jobs(asked)] == ["frozen"]
    assert notes(asked) == [f"left out: dead/edge_holds ({why}; to run it: sudo apt-get install nginx-light)"]


def test_what_no_machine_can_run_has_no_command_that_helps() -> None:
    asked = call("dead/frozen", "dead/frozen_tls", server=SERVER)
    assert hindrances.remedies(request.left_out(asked)) == []


def test_a_call_of_which_nothing_remains_names_what_the_machine_lacks_before_what_does_not_fit() -> None:
    asked = call("dead/frozen_tls", "satellite", server=SERVER)
    with pytest.raises(InputError, match=r"^scenario 'satellite' asks for .*; to run it: halfopen kernel build$"):
        request.jobs(msgspec.structs.replace(asked, lacking={"netem": "halfopen kernel build"}))


def test_of_several_servers_the_one_whose_program_is_missing_is_left_out() -> None:
    there, missing = TargetSpec(server="python3 a.py {port}", file="a/there.toml"), "no-such-program-x"
    targets = (there, TargetSpec(server=f"{missing} {{port}}", file="a/gone.toml"))
    asked = msgspec.structs.replace(call("dead/frozen", "alive/active"), targets=targets)
    assert {job.candidate for job in request.jobs(asked)} == {"a/there"}
    assert notes(asked) == [
        f"left out: dead/frozen, alive/active (needs {missing!r} for the server 'a/gone', which is not installed)"
    ]
    with pytest.raises(InputError, match=f"scenario 'frozen' needs '{missing}' for the server 'a/gone'"):
        request.jobs(msgspec.structs.replace(asked, targets=targets[1:]))


def test_a_program_is_looked_for_where_its_server_is_started(tmp_path: Path) -> None:
    program = tmp_path / "serve"
    program.write_text("#!/bin/sh")
    program.chmod(0o755)
    beside = TargetSpec(server="./serve {port}", file=str(tmp_path / "x.toml"))
    assert hindrances.missing_program(beside) is None
    on_path = TargetSpec(server="serve {port}", environment={"PATH": str(tmp_path)})
    assert hindrances.missing_program(on_path) is None
    assert hindrances.missing_program(TargetSpec(server="serve {port}")) == "serve"
    assert hindrances.missing_program(TargetSpec(image="serve")) is None
