"""The children of a process of this machine. A guest's processes are children of its kernel."""

from __future__ import annotations

import contextlib
from pathlib import Path


def stats(parent: int) -> dict[int, list[str]]:
    """Return by pid the fields of /proc/PID/stat from the state on (proc(5)), for each child, zombies included."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        # It may have ended meanwhile.
        with contextlib.suppress(OSError):
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
            if int(fields[1]) == parent:
                found[int(stat.parent.name)] = fields
    return found
