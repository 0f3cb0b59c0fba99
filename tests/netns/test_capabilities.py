"""Reasons for a kernel's refusal, and the remedies."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from halfopen.netns import capabilities
from halfopen.netns.capabilities import obstacles, why_no_isolation

SYSCTLS = "/proc/sys/"
SETTINGS = [
    ("user/max_user_namespaces", "0", "user.max_user_namespaces is 0", "sudo sysctl -w user.max_user_namespaces="),
    (
        "kernel/unprivileged_userns_clone",
        "0",
        "kernel.unprivileged_userns_clone is 0",
        "sudo sysctl -w kernel.unprivileged_userns_clone=1",
    ),
    (
        "kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "kernel.apparmor_restrict_unprivileged_userns is 1",
        "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ),
]


def machine(files: dict[str, str]) -> capabilities.Read:
    """Return a machine with these files only."""
    return files.get


def refusal(number: int, call: str | None = "unshare") -> OSError:
    return OSError(number, os.strerror(number), call)


@pytest.mark.parametrize(("file", "value", "what", "remedy"), SETTINGS)
def test_a_setting_that_forbids_is_named_with_its_remedy(file: str, value: str, what: str, remedy: str) -> None:
    sentence = why_no_isolation(refusal(errno.EPERM), machine({SYSCTLS + file: value}))
    assert sentence.startswith("cannot enter namespaces of our own: unshare failed with operation not permitted: ")
    assert what in sentence
    assert remedy in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize(("file", "value"), [(file, "1" if value == "0" else "0") for file, value, _, _ in SETTINGS])
def test_a_setting_that_allows_is_no_obstacle(file: str, value: str) -> None:
    assert obstacles(machine({SYSCTLS + file: value})) == []


def test_a_containers_seccomp_filter_is_named_with_its_remedy() -> None:
    [obstacle] = obstacles(machine({"/proc/self/status": "Name:\tpython\nSeccomp:\t2\nSeccomp_filters:\t1"}))
    assert "seccomp" in obstacle
    assert "--security-opt seccomp=unconfined" in obstacle


def test_no_filter_is_no_obstacle() -> None:
    assert obstacles(machine({"/proc/self/status": "Seccomp:\t0\nSeccomp_filters:\t0"})) == []


def test_a_machine_without_any_of_the_files_has_no_known_obstacle() -> None:
    assert obstacles(machine({})) == []
    assert "no known setting explains it" in why_no_isolation(refusal(errno.EPERM), machine({}))


def test_exhausted_limits_are_told_from_forbidden_ones() -> None:
    assert "/proc/sys/user are used up" in why_no_isolation(refusal(errno.ENOSPC), machine({}))


def test_a_kernel_built_without_namespaces_is_told_as_that() -> None:
    assert "CONFIG_USER_NS" in why_no_isolation(refusal(errno.EINVAL), machine({}))


def test_an_error_without_a_call_still_makes_a_sentence() -> None:
    assert "a system call failed with" in why_no_isolation(refusal(errno.EPERM, None), machine({}))


FULL = (1 << 41) - 1
SETFCAP, NET_ADMIN, SYS_ADMIN = 1 << 31, 1 << 12, 1 << 21


def holding(capabilities_held: int, uid: int = 0) -> capabilities.Read:
    ids = "\t".join([str(uid)] * 4)
    return machine({"/proc/self/status": f"Uid:\t{ids}\nCapEff:\t{capabilities_held:016x}\nSeccomp:\t2"})


def test_a_root_that_may_not_map_itself_is_told_so_and_not_that_of_the_seccomp_filter() -> None:
    sentence = why_no_isolation(refusal(errno.EPERM, "writing /proc/self/uid_map"), holding(FULL & ~SETFCAP))
    assert "writing /proc/self/uid_map failed with operation not permitted" in sentence
    assert "root without CAP_SETFCAP may not map itself" in sentence
    assert "--cap-add SETFCAP" in sentence
    assert "seccomp" in why_no_isolation(refusal(errno.EPERM, "unshare"), holding(FULL & ~SETFCAP))
    assert "seccomp" in why_no_isolation(refusal(errno.EPERM, "writing /proc/self/uid_map"), holding(0, uid=1000))


def test_an_apparmor_profile_that_forbids_mount_is_named() -> None:
    confined = machine({"/proc/self/attr/current": "docker-default (enforce)"})
    sentence = why_no_isolation(refusal(errno.EACCES, "mount /"), confined)
    assert "the AppArmor profile docker-default forbids mount" in sentence
    assert "--security-opt apparmor=unconfined" in sentence
    assert "AppArmor" not in why_no_isolation(refusal(errno.EACCES, "unshare"), confined)


@pytest.mark.parametrize(
    ("held", "may"), [(FULL, True), (FULL & ~NET_ADMIN, False), (FULL & ~SYS_ADMIN, False), (0, False)]
)
def test_only_who_may_both_make_and_configure_goes_without_a_user_namespace(held: int, may: bool) -> None:
    assert capabilities.may_administer(holding(held)) is may


def test_who_does_not_know_its_capabilities_has_none() -> None:
    assert not capabilities.may_administer(machine({}))


@pytest.mark.parametrize(
    ("mapping", "new"),
    [("         0          0 4294967295", False), ("0 1000 1", True), ("0 0 1", True)],
)
def test_a_user_namespace_is_known_by_its_mapping(mapping: str, new: bool) -> None:
    assert capabilities.in_new_user_namespace(machine({"/proc/self/uid_map": mapping})) is new


def test_files_are_read_without_their_blanks(tmp_path: Path) -> None:
    (tmp_path / "value").write_text(" 1\n")
    assert capabilities.read_file(str(tmp_path / "value")) == "1"


def test_a_missing_file_reads_as_nothing(tmp_path: Path) -> None:
    assert capabilities.read_file(str(tmp_path / "missing")) is None


def test_the_kernels_release_is_unames() -> None:
    assert capabilities.kernel_release() == os.uname().release
