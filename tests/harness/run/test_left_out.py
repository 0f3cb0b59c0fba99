"""Requested scenarios that cannot be run here: left out and reported, or refused."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from halfopen.errors import InputError
from halfopen.proxies import nginx
from halfopen.run import request
from halfopen.run.request import RunRequest
from halfopen.scenario.target_spec import TargetSpec

SERVER = "python server.py {host} {port}"


def call(*names: str, server: str | None = None) -> RunRequest:
    return RunRequest(seed=1, grace=30, poll=2, names=list(names), target=TargetSpec(server=server))


def test_what_only_the_pod_can_do_is_left_out_for_a_server_with_the_reason() -> None:
    asked = call("dead/frozen", "dead/frozen_tls", "ended/preempted", server=SERVER)
    assert [job.scenario.called for job in request.jobs(asked)] == ["frozen"]
    why = "needs the built-in server (the pod); leave out the scenario, or --server"
    assert request.left_out(asked) == [f"left out: frozen_tls, preempted ({why})"]


def test_nothing_is_left_out_for_the_pod() -> None:
    assert request.left_out(call("dead/frozen", "dead/frozen_tls", "wedge")) == []


def test_what_is_done_to_a_container_is_left_out_where_there_is_none() -> None:
    for asked in (call("active", "paused_server"), call("active", "paused_server", server=SERVER)):
        assert [job.scenario.called for job in request.jobs(asked)] == ["active"]
        assert request.left_out(asked) == [
            "left out: paused_server (pauses the server's container; give it one with --image)"
        ]


def test_what_needs_netem_is_left_out_where_the_only_kernel_that_will_do_has_none() -> None:
    asked = msgspec.structs.replace(call("dead/frozen", "satellite", server=SERVER), lacks_netem=True)
    assert [job.scenario.called for job in request.jobs(asked)] == ["frozen"]
    (line,) = request.left_out(asked)
    assert line.startswith("left out: satellite (asks for delay on its link, which needs sch_netem: this kernel ")


def test_a_call_of_which_nothing_remains_is_refused() -> None:
    with pytest.raises(InputError, match=r"scenario 'frozen_tls' needs the built-in server \(the pod\)"):
        request.jobs(call("dead/frozen_tls", server=SERVER))


def test_what_needs_a_proxy_that_is_not_installed_is_left_out_with_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(nginx, "PROGRAM", "no-such-proxy")
    monkeypatch.chdir(tmp_path)
    asked = call("active", "dead/edge_holds")
    assert [job.scenario.called for job in request.jobs(asked)] == ["active"]
    assert request.left_out(asked) == [
        "left out: edge_holds (needs no-such-proxy, which is not installed: apt install nginx-light)"
    ]
