"""Permissions that a guard needs from the kernel: their refusals, and how to grant them."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Sequence

from halfopen.errors import InputError
from halfopen.guard.socket_ender import Means
from halfopen.netns import processes
from halfopen.netns.capabilities import Read, has_seccomp_filter, read_file
from halfopen.netns.census import Census

_SCOPE = "/proc/sys/kernel/yama/ptrace_scope"


def means_for_children(census: Census) -> Sequence[Means]:
    """Return the permitted means for processes that this one starts; raises InputError if there is none."""
    number = refusal_for_a_child()
    return _means(number, census, "cannot guard a server", is_child=True)


def means_for(pid: int | None, census: Census, head: str) -> Sequence[Means]:
    """Return the permitted means for a process; raises InputError if there is none, which begins with ``head``.

    None is a process whose files may not be read.
    """
    number = errno.EPERM if pid is None else processes.refusal_to_duplicate(pid)
    return _means(number, census, head, is_child=False)


def _means(number: int, census: Census, head: str, *, is_child: bool) -> Sequence[Means]:
    can_destroy = census.refusal_to_destroy() == 0
    means: list[Means] = [] if number else ["duplicate"]
    if can_destroy:
        means.append("sock_destroy")
    if not means:
        raise InputError(f"{head}: {explain(number, is_child=is_child)}")
    return means


def refusal_for_a_child() -> int:
    """Return the errno with which the kernel refuses duplicates of a child's descriptors; 0 if it permits them."""
    hear, tell = os.pipe()
    child = os.fork()
    if not child:
        os.close(tell)
        os.read(hear, 1)
        os._exit(0)
    try:
        return processes.refusal_to_duplicate(child)
    finally:
        os.close(hear)
        os.close(tell)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def explain(number: int, *, is_child: bool, read: Read = read_file) -> str:
    """Return the reason of a refused pidfd_getfd(2), and the remedies, in one line."""
    instead = "or run halfopen with CAP_NET_ADMIN (it then uses SOCK_DESTROY)"
    if number == errno.ENOSYS:
        return f"this kernel has no pidfd_getfd (Linux 5.6); use a newer one, {instead}"
    scope = read(_SCOPE)
    if scope == "3":
        return (
            "kernel.yama.ptrace_scope is 3, so until a reboot nobody may take another's sockets; reboot with 0, 1 or "
            f"2, {instead}"
        )
    if scope == "2":
        return (
            "kernel.yama.ptrace_scope is 2: run halfopen as root or with CAP_SYS_PTRACE, allow it with: sudo sysctl -w "
            f"kernel.yama.ptrace_scope=1, {instead}"
        )
    if scope == "1" and not is_child:
        return (
            "kernel.yama.ptrace_scope is 1, so only ancestors of a process may take its sockets; start the server "
            f"with: halfopen guard -- CMD, run halfopen as root or with CAP_SYS_PTRACE, {instead}"
        )
    if has_seccomp_filter(read):
        return f"a seccomp filter may forbid pidfd_getfd; start the container with: --cap-add SYS_PTRACE, {instead}"
    return (
        "this user may not take that process's sockets: it belongs to another user, or has changed its user; run "
        f"halfopen as its user, as root or with CAP_SYS_PTRACE, {instead}"
    )
