"""A user's mistakes with a container image: one line each, and nothing is left behind."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests import engine
from tests.harness.targets.image.tool import POD, health_check, python, refused
from tests.machine import UNPRIVILEGED, needs_engine, needs_labs, needs_unshare

pytestmark = [needs_engine, needs_labs]


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
    assert "does not listen on port 80 after 3s, but on 0.0.0.0:8000" in said


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
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    assert refused().endswith("needs the docker package; install it with: pip install 'halfopen[docker]'")


@needs_unshare
def test_it_needs_root() -> None:
    assert refused(under=UNPRIVILEGED).startswith("--image: needs root, ")


@pytest.mark.parametrize("other", [("--clock", "virtual"), ("--kernel", "guest")])
def test_a_guest_is_no_place_for_it(other: tuple[str, str]) -> None:
    assert refused(*other).startswith(
        f"{' '.join(other)}: cannot be used with --image, because a guest kernel cannot reach"
    )
