"""Lets a guest run on a processor whose registers take more room than its kernel set aside for them.

A guest's programs run as processes of the machine, whose registers are read and written whole by ptrace(2). The
kernels before 6.13 have 2696 bytes for those of NT_X86_XSTATE (HOST_FP_SIZE, arch/x86/um/user-offsets.c): as many as
AVX-512 and protection keys take. A machine with AMX has 11008, and refuses to be given fewer with EFAULT
(xstateregs_set, arch/x86/kernel/fpu/regset.c), so that nothing ever ran: "ptrace set fp regs failed, errno = 14".

What is beyond is only in use in a process that asked for it (ARCH_REQ_XCOMP_PERM), which no guest can. So it is
written as zeros, which is what it holds.
"""

from __future__ import annotations

from pathlib import Path

from halfopen.netns.guest.source_edits import Edit, apply

_FILE = "arch/x86/um/os-Linux/registers.c"
EDITS = (
    Edit(_FILE, "#include <stdlib.h>\n", "#include <stdlib.h>\n#include <string.h>\n"),
    Edit(
        _FILE,
        "\t\tiov.iov_base = fp_regs;\n"
        "\t\tiov.iov_len = FP_SIZE * sizeof(unsigned long);\n"
        "\t\tif (ptrace(PTRACE_SETREGSET,",
        "\t\tstatic unsigned long whole[16384 / sizeof(unsigned long)];\n\n"
        "\t\tmemcpy(whole, fp_regs, FP_SIZE * sizeof(unsigned long));\n"
        "\t\tiov.iov_base = whole;\n"
        "\t\tiov.iov_len = sizeof(whole);\n"
        "\t\tif (ptrace(PTRACE_SETREGSET,",
    ),
)

#: What /proc/cpuinfo calls those that take registers past the first 2696 bytes.
_WIDE = frozenset({"amx_tile", "apx", "apx_f"})


def make_room(tree: Path) -> None:
    """Change the kernel source in ``tree``, where it is as it was known to be."""
    apply(EDITS, tree)


def too_wide(cpuinfo: str) -> list[str]:
    """The features of this machine's processor, by its ``/proc/cpuinfo``, with which no unchanged old kernel runs."""
    flags = next((line for line in cpuinfo.splitlines() if line.startswith("flags")), "")
    return sorted(_WIDE & set(flags.split()))


def why_not_stock(cpuinfo: Path = Path("/proc/cpuinfo")) -> str | None:
    """Why the distribution's own guest kernel does not run on this machine; None if nothing is known against it."""
    try:
        found = too_wide(cpuinfo.read_text())
    except OSError:
        return None
    if not found:
        return None
    return f"the distribution's guest kernel does not run on this machine's processor (it has {', '.join(found)})"
