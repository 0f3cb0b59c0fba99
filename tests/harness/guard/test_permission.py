"""Each refusal says in one line how to grant what is missing."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Callable

import pytest

from halfopen.guard import permission
from halfopen.netns.census import Census

SCOPE = "/proc/sys/kernel/yama/ptrace_scope"


def machine(scope: str | None = None, seccomp: str = "0") -> Callable[[str], str | None]:
    return {SCOPE: scope, "/proc/self/status": f"Seccomp:\t{seccomp}"}.get


@pytest.mark.parametrize(
    ("scope", "is_child", "remedy"),
    [
        ("0", False, "run halfopen as its user, as root or with CAP_SYS_PTRACE"),
        (None, False, "run halfopen as its user, as root or with CAP_SYS_PTRACE"),
        ("1", False, "kernel.yama.ptrace_scope is 1, .* start the server with: halfopen guard -- CMD"),
        ("1", True, "has changed its user; run halfopen as its user, as root or with CAP_SYS_PTRACE"),
        ("2", False, "kernel.yama.ptrace_scope is 2: .* sudo sysctl -w kernel.yama.ptrace_scope=1"),
        ("2", True, "kernel.yama.ptrace_scope is 2: run halfopen as root or with CAP_SYS_PTRACE"),
        ("3", True, "kernel.yama.ptrace_scope is 3, .* reboot with 0, 1 or 2"),
        ("3", False, "kernel.yama.ptrace_scope is 3, .* reboot with 0, 1 or 2"),
    ],
)
def test_each_setting_of_yama_has_its_remedy(scope: str | None, is_child: bool, remedy: str) -> None:
    text = permission.explain(errno.EPERM, is_child=is_child, read=machine(scope))
    assert re.search(remedy, text), text
    assert text.endswith("or run halfopen with CAP_NET_ADMIN (it then uses SOCK_DESTROY)")
    assert "\n" not in text


def test_an_old_kernel_and_a_container_have_theirs() -> None:
    assert "Linux 5.6" in permission.explain(errno.ENOSYS, is_child=True, read=machine())
    assert "--cap-add SYS_PTRACE" in permission.explain(errno.EPERM, is_child=True, read=machine(seccomp="2"))


def test_a_parent_may_and_nobody_stays_behind() -> None:
    assert permission.refusal_for_a_child() == 0
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_the_means_are_those_that_the_kernel_permits() -> None:
    with contextlib.closing(Census()) as census:
        can_destroy = census.refusal_to_destroy() == 0
        expected = ["duplicate", *["sock_destroy"] * can_destroy]
        assert permission.means_for_children(census) == expected
        assert permission.means_for(os.getpid(), census, "--pid 1") == expected
