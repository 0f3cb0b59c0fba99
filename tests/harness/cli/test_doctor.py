from __future__ import annotations

import sys
from pathlib import Path

import pytest
from rich.console import Console

from halfopen.cli import doctor
from halfopen.cli.doctor import Check, attempt
from halfopen.netns.guest import cache
from halfopen.netns.guest.cache import GuestKernel
from halfopen.netns.lab_errors import IsolationError, UnsupportedError
from halfopen.run import hindrances
from tests import no_duplicates
from tests.harness.cli.tool import halfopen
from tests.machine import UNPRIVILEGED, needs_labs, needs_unshare

GUEST = GuestKernel(Path("/somewhere/linux"), "6.12.1", "linux-source-6.12 6.12.1-1")


@needs_labs
def test_a_machine_that_can_run_labs_is_told_so() -> None:
    ran = halfopen("doctor")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("kernel ")
    for line in ("namespaces", "links: veth", "rate limits: sch_tbf", "cuts: nftables", "samples: sock_diag"):
        assert f"  ok  {line}" in ran.out
    assert ran.out.endswith("this machine can run labs\n")


@needs_labs
@needs_unshare
def test_without_privilege_it_says_that_none_is_needed() -> None:
    ran = halfopen("doctor", under=UNPRIVILEGED)
    assert ran.code == 0
    assert "user too, so no root is needed" in ran.out
    assert "  ok  guard: a parent may end its children's connections (pidfd_getfd)\n" in ran.out


@needs_labs
@needs_unshare
def test_where_no_parent_may_it_says_how_to_permit_a_guard() -> None:
    ran = halfopen("doctor", under=[*UNPRIVILEGED, sys.executable, no_duplicates.__file__])
    assert ran.code == 0, "it is only needed for halfopen guard"
    assert (
        "  no  guard: a seccomp filter may forbid pidfd_getfd; start the container with: --cap-add SYS_PTRACE"
        in ran.out
    )


def test_a_refusal_by_the_kernel_is_an_answer() -> None:
    def refuse() -> Check:
        raise UnsupportedError("no sch_tbf here")

    assert attempt(refuse) == Check("the kernel refuses: no sch_tbf here", ok=False)


@pytest.mark.parametrize(
    ("guest", "code", "last"),
    [(None, 1, "this machine cannot run labs\n"), (GUEST, 0, "this machine can run labs\n")],
    ids=["no guest", "guest"],
)
def test_a_machine_that_forbids_namespaces_is_told_what_to_do(
    guest: GuestKernel | None,
    code: int,
    last: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(_: object) -> int:
        raise IsolationError("user.max_user_namespaces is 0; allow them with: sysctl")

    monkeypatch.setattr(doctor, "isolated", refuse)
    monkeypatch.setattr(cache, "newest", lambda: guest)
    assert doctor.doctor() == code
    out = capsys.readouterr().out
    assert "no  namespaces: user.max_user_namespaces is 0; allow them with: sysctl" in out
    (line,) = (line for line in out.splitlines() if "kernel build" in line or "Linux" in line)
    assert ("Linux 6.12.1 as a guest, which needs no namespaces" if guest else "no guest kernel; build it with") in line
    assert out.endswith(last)


def test_what_stands_in_brackets_is_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    doctor._report(Console(), {"containers": Check("pip install 'halfopen[docker]'", ok=False, needed=False)})
    assert "pip install 'halfopen[docker]'" in capsys.readouterr().out


def test_a_proxy_that_is_missing_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hindrances, "find_program", lambda edge: None if edge.proxy == "haproxy" else "/usr/sbin/nginx")
    assert doctor._proxies() == Check(
        "scenarios behind one that is missing are left out: haproxy, which is not installed: "
        "sudo apt-get install haproxy",
        ok=False,
        needed=False,
    )
    monkeypatch.setattr(hindrances, "find_program", lambda _: "there")
    assert doctor._proxies() == Check("haproxy, nginx", needed=False)
