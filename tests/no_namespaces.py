"""Run a command where the kernel refuses namespaces and mounts, as under a container's default seccomp profile.

python tests/no_namespaces.py CMD ...

The filter, in classic BPF (seccomp(2), include/uapi/linux/seccomp.h), applies to everything that the command starts.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys

#: include/uapi/linux/audit.h, and arch/x86/entry/syscalls/syscall_64.tbl
X86_64 = 0xC000003E
CLONE, MOUNT, UNSHARE, SETNS, CLONE3 = 56, 165, 272, 308, 435
#: Any of CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET (sched.h).
NEW_NAMESPACES = 0x7E020000

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, MODE_FILTER = 38, 22, 2
LOAD, JUMP_IF_EQUAL, JUMP_IF_SET, RETURN = 0x20, 0x15, 0x45, 0x06
ALLOW, FAIL = 0x7FFF0000, 0x00050000
#: Offsets in struct seccomp_data.
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16

#: Jumps count the skipped instructions, if true and if false.
PROGRAM = (
    (LOAD, 0, 0, ARCHITECTURE),
    (JUMP_IF_EQUAL, 0, 8, X86_64),
    (LOAD, 0, 0, NUMBER),
    (JUMP_IF_EQUAL, 7, 0, UNSHARE),
    (JUMP_IF_EQUAL, 6, 0, SETNS),
    (JUMP_IF_EQUAL, 5, 0, MOUNT),
    # Reported as unknown instead of refused, since a filter cannot read its flags. The C library then uses clone.
    (JUMP_IF_EQUAL, 5, 0, CLONE3),
    (JUMP_IF_EQUAL, 0, 2, CLONE),
    (LOAD, 0, 0, FIRST_ARGUMENT),
    (JUMP_IF_SET, 1, 0, NEW_NAMESPACES),
    (RETURN, 0, 0, ALLOW),
    (RETURN, 0, 0, FAIL | errno.EPERM),
    (RETURN, 0, 0, FAIL | errno.ENOSYS),
)


class Filter(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("program", ctypes.c_char_p))


def refuse(instructions: tuple[tuple[int, int, int, int], ...] = PROGRAM) -> None:
    """Apply the filter to this process."""
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in instructions)
    program = Filter(len(instructions), code)
    libc = ctypes.CDLL(None, use_errno=True)
    for call in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, MODE_FILTER, ctypes.byref(program), 0, 0)):
        if libc.prctl(*call):
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    refuse()
    os.execvp(sys.argv[1], sys.argv[1:])
