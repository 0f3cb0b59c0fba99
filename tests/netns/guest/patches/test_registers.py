from __future__ import annotations

from pathlib import Path

from halfopen.netns.guest import recipe
from halfopen.netns.guest.patches import registers
from halfopen.netns.guest.patches.registers import make_room

#: From Linux 6.12, whose kernels have room for 2696 bytes.
REGISTERS = """
#include <errno.h>
#include <stdlib.h>

	if (have_xstate_support) {
		iov.iov_base = fp_regs;
		iov.iov_len = FP_SIZE * sizeof(unsigned long);
		if (ptrace(PTRACE_GETREGSET, pid, NT_X86_XSTATE, &iov) < 0)
			return -errno;

	if (have_xstate_support) {
		iov.iov_base = fp_regs;
		iov.iov_len = FP_SIZE * sizeof(unsigned long);
		if (ptrace(PTRACE_SETREGSET, pid, NT_X86_XSTATE, &iov) < 0)
			return -errno;
"""


def source(place: Path, text: str) -> Path:
    file = place / "arch/x86/um/os-Linux/registers.c"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    return file


def test_registers_are_written_whole_and_read_as_before(tmp_path: Path) -> None:
    file = source(tmp_path, REGISTERS)
    make_room(tmp_path)
    reading, writing = file.read_text().split("PTRACE_GETREGSET")
    assert "iov.iov_base = fp_regs;" in reading
    assert "#include <string.h>" in reading
    assert "memcpy(whole, fp_regs, FP_SIZE * sizeof(unsigned long));" in writing
    assert "iov.iov_len = sizeof(whole);\n\t\tif (ptrace(PTRACE_SETREGSET" in writing


def test_a_newer_source_that_makes_room_by_itself_stays_as_it_is(tmp_path: Path) -> None:
    text = REGISTERS.replace("FP_SIZE * sizeof(unsigned long)", "host_fp_size")
    file = source(tmp_path, text)
    make_room(tmp_path)
    assert file.read_text() == text


def test_another_change_makes_another_kernel() -> None:
    assert registers in recipe.PATCHES
