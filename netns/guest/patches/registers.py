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


def make_room(tree: Path) -> None:
    """Change the kernel source in ``tree``, where it is as it was known to be."""
    apply(EDITS, tree)
