"""The few Linux calls that Python 3.11 does not offer, through the C library."""

from __future__ import annotations

import ctypes
import os

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REC = 0x4000
MS_PRIVATE = 0x40000

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, call: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), call)


def unshare(flags: int) -> None:
    """Leave the namespaces named by ``flags`` for new ones (unshare(2)); raises OSError."""
    _check(_libc.unshare(flags), "unshare")


def setns(fd: int, kind: int) -> None:
    """Move the calling thread into the namespace behind ``fd`` (setns(2)); raises OSError."""
    _check(_libc.setns(fd, kind), "setns")


def mount(source: str, target: str, filesystem: str, flags: int) -> None:
    """Mount ``filesystem`` at ``target`` (mount(2)); raises OSError."""
    _check(
        _libc.mount(source.encode(), target.encode(), filesystem.encode(), ctypes.c_ulong(flags), None),
        f"mount {target}",
    )


def die_with_parent(signal_number: int) -> None:
    """Have the kernel send ``signal_number`` to this process when its parent ends (prctl(2), PR_SET_PDEATHSIG)."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal_number), 0, 0, 0), "prctl")


#: pidfd_getfd(2), by the same number on every architecture with a generic table; glibc 2.36 has no wrapper before.
_PIDFD_GETFD = 438


def pidfd_getfd(pidfd: int, number: int) -> int:
    """Return a duplicate of another process's descriptor (pidfd_getfd(2)); raises OSError."""
    duplicate = int(_libc.syscall(_PIDFD_GETFD, pidfd, number, 0))
    _check(min(duplicate, 0), "pidfd_getfd")
    return duplicate


def adopt_orphans(adopt: bool) -> None:
    """Start or stop adopting all descendants of this process that lose their parent (PR_SET_CHILD_SUBREAPER)."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(adopt), 0, 0, 0), "prctl")
