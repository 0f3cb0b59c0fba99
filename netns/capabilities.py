"""Detect what this kernel allows, explain its refusals, and suggest remedies."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

# include/uapi/linux/capability.h
_CAP_NET_ADMIN = 12
_CAP_SYS_ADMIN = 21
_CAP_SETFCAP = 31

Read = Callable[[str], str | None]
"""Reads a file under /proc or /sys. Returns its text without surrounding blanks, or None if it is missing."""


def read_file(path: str) -> str | None:
    """Return the text of a file, or None if it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


#: Settings that forbid user namespaces to ordinary users, in the order of the kernel's checks: a file, the value that
#: forbids them, the problem and its remedy.
_SETTINGS = (
    (
        "/proc/sys/user/max_user_namespaces",
        "0",
        "user.max_user_namespaces is 0; allow them with: sudo sysctl -w user.max_user_namespaces=15000",
    ),
    (
        "/proc/sys/kernel/unprivileged_userns_clone",
        "0",
        "kernel.unprivileged_userns_clone is 0; allow them with: sudo sysctl -w kernel.unprivileged_userns_clone=1",
    ),
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        (
            "AppArmor restricts them (kernel.apparmor_restrict_unprivileged_userns is 1); allow them with: sudo sysctl "
            "-w kernel.apparmor_restrict_unprivileged_userns=0, or give this Python an AppArmor profile with 'userns,'"
        ),
    ),
)


def obstacles(read: Read = read_file) -> list[str]:
    """Return all settings known to forbid user namespaces, with the remedy of each."""
    problems = [problem for file, value, problem in _SETTINGS if read(file) == value]
    if has_seccomp_filter(read):
        problems.append(
            "a seccomp filter is in force (a container's default profile forbids unshare); "
            "start the container with: --security-opt seccomp=unconfined"
        )
    return problems


def has_seccomp_filter(read: Read = read_file) -> bool:
    """True if a seccomp filter is in force for this process, as in most containers."""
    return _status(read, "Seccomp") == ["2"]


def _obstacle_to(call: str, read: Read) -> str | None:
    """Return the obstacle to this one call, if any. It applies even if namespaces themselves are allowed."""
    if "uid_map" in call and _status(read, "Uid")[:1] == ["0"] and not _holds(read, _CAP_SETFCAP):
        # user_namespaces(7), since Linux 5.12
        return (
            "root without CAP_SETFCAP may not map itself into a user namespace; "
            "start the container with: --cap-add SETFCAP, or as an ordinary user (--user)"
        )
    profile = (read("/proc/self/attr/current") or "unconfined").split()[0]
    if call.startswith("mount") and profile != "unconfined":
        remedy = "start the container with: --security-opt apparmor=unconfined"
        return f"the AppArmor profile {profile} forbids mount; {remedy}"
    return None


def may_administer(read: Read = read_file) -> bool:
    """True if this process may create namespaces and configure networks without a user namespace."""
    return _holds(read, _CAP_SYS_ADMIN) and _holds(read, _CAP_NET_ADMIN)


def _holds(read: Read, capability: int) -> bool:
    effective = _status(read, "CapEff")
    return bool(effective) and bool(int(effective[0], 16) >> capability & 1)


def _status(read: Read, field: str) -> list[str]:
    """The words after a field's name in /proc/self/status (proc(5))."""
    lines = (line.partition(":") for line in (read("/proc/self/status") or "").splitlines())
    return next((rest.split() for name, _, rest in lines if name == field), [])


def why_no_isolation(error: OSError, read: Read = read_file) -> str:
    """Return one sentence on a refused unshare or mount: the refused call, the setting that forbids it, the remedy."""
    call = error.filename or "a system call"
    head = f"cannot enter namespaces of our own: {call} failed with {os.strerror(error.errno or 0).lower()}"
    if problem := _obstacle_to(call, read) or next(iter(obstacles(read)), None):
        return f"{head}: {problem}"
    if error.errno == errno.ENOSPC:
        return f"{head}: the limits in /proc/sys/user are used up or too low; raise them, or end other labs"
    if error.errno == errno.EINVAL:
        return f"{head}: this kernel was built without CONFIG_USER_NS, CONFIG_PID_NS or CONFIG_NET_NS"
    return f"{head}: no known setting explains it; run as root, or see: halfopen doctor"


def kernel_release() -> str:
    """Return the running kernel's release (uname(2)), such as ``"6.1.0-18-amd64"``."""
    return os.uname().release


def in_new_user_namespace(read: Read = read_file) -> bool:
    """True if this process is not in the machine's initial user namespace, which maps every id to itself."""
    return (read("/proc/self/uid_map") or "").split() != ["0", "0", "4294967295"]


def congestion_control() -> str | None:
    """Return the congestion control of new connections (tcp(7), tcp_congestion_control), or None if unreadable."""
    return read_file("/proc/sys/net/ipv4/tcp_congestion_control")


def how_to_get(module: str, read: Read = read_file) -> str:
    """Return the command that gives this machine's own kernel a module, or else what to do."""
    names = (
        line.partition("=")[2].strip('"') for line in (read("/etc/os-release") or "").splitlines() if line[:3] == "ID="
    )
    if "ubuntu" in names:
        return f"sudo apt-get install linux-modules-extra-{kernel_release()}"
    return f"boot a kernel that has the module {module}"
