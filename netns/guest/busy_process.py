"""Find the program of a guest that uses the processor, from outside.

Each process of a guest is a nameless child of its kernel's process on this machine. Its program is read from the top of
its stack: there execve(2) put its arguments, its environment, and last the name of the program (create_elf_tables in
fs/binfmt_elf.c).
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import time
from pathlib import Path

from halfopen.netns.processes import children

#: The guest's memory is an unlinked file, mapped page by page and shared; user memory is mapped executable and
#: writable.
_USER_MEMORY = re.compile(r"([0-9a-f]+)-([0-9a-f]+) rwxs .* \(deleted\)")
_PAGE = 4096
_ASSIGNMENT = re.compile(rb"\w+=")
#: The string before the first argument (AT_PLATFORM).
_PLATFORM = b"x86_64\0"
_LONGEST = 120
#: Seconds of observation: long enough for many of the kernel's ticks.
_LOOK = 0.5


def busiest(kernel: int) -> str | None:
    """Return the command line of the guest's process that uses the processor most; None if unknown.

    Observes for half a second. ``kernel`` is the pid of the guest's kernel.
    """
    before = _processor_times(kernel)
    time.sleep(_LOOK)
    used = {pid: ticks - before.get(pid, 0) for pid, ticks in _processor_times(kernel).items()}
    for pid in sorted(used, key=lambda pid: -used[pid]):
        if used[pid] and (named := command_line(_top_of_stack(pid))):
            return named
    return None


def _processor_times(parent: int) -> dict[int, int]:
    """Return clock ticks of processor time, user and system, by child (proc(5), /proc/PID/stat)."""
    return {pid: int(fields[11]) + int(fields[12]) for pid, fields in children(parent).items()}


def _top_of_stack(pid: int) -> bytes:
    with contextlib.suppress(OSError, ValueError):
        ends = [int(m[2], 16) for m in _USER_MEMORY.finditer(Path(f"/proc/{pid}/maps").read_text())]
        with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
            for end in sorted(ends, reverse=True):
                page = os.pread(memory.fileno(), _PAGE, end - _PAGE)
                # execve leaves space for a null pointer above the program's name.
                if page.endswith(bytes(9)) and page.strip(b"\0"):
                    return _down_to_arguments(memory.fileno(), end - _PAGE, page)
    return b""


def _down_to_arguments(memory: int, start: int, stack: bytes) -> bytes:
    """Prepend the pages below, which a large environment fills, as far as the guest's kernel has mapped them."""
    with contextlib.suppress(OSError):
        while _PLATFORM not in stack:
            start -= _PAGE
            stack = os.pread(memory, _PAGE, start) + stack
    return stack


def command_line(top: bytes) -> str | None:
    """Return the executed command from the last bytes of a stack; without its arguments if the bytes lack them."""
    _, platform, above = top.rstrip(b"\0").partition(_PLATFORM)
    strings = (above if platform else top.rstrip(b"\0")).split(b"\0")
    program = strings.pop()
    if not program or not program.isascii():
        return None
    if not platform:
        return program.decode()
    while strings and _ASSIGNMENT.match(strings[-1]):
        strings.pop()
    return shlex.join(argument.decode(errors="replace") for argument in strings)[:_LONGEST]
