"""Resources that processes hold: memory, threads and open files (proc(5))."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

_PAGE = os.sysconf("SC_PAGE_SIZE")


class Usage(NamedTuple):
    """The sum over some processes."""

    processes: int
    rss: int
    """Resident memory, bytes (proc_pid_statm(5)). Pages that processes share count for each."""
    threads: int
    files: int
    """Open descriptors."""


def usage(pids: Iterable[int]) -> Usage:
    """Return what these processes hold now. Those that are gone, or may not be read, count nothing."""
    total = [0, 0, 0, 0]
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            for n, count in enumerate(_of(Path(f"/proc/{pid}"))):
                total[n] += count
    return Usage(*total)


def _of(process: Path) -> tuple[int, int, int, int]:
    pages = int((process / "statm").read_text().split()[1])
    return 1, pages * _PAGE, len(os.listdir(process / "task")), len(os.listdir(process / "fd"))  # noqa: PTH208 (counted)
