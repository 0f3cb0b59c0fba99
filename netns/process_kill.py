"""Kill processes that may fork, and wait until they are gone."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import time
from collections.abc import Callable
from pathlib import Path

from halfopen.netns.lab_errors import TeardownError
from halfopen.netns.units import show_duration

#: Seconds within which killed processes must be gone.
_PATIENCE = 4.0
#: Seconds between two searches: at first, and at most.
_FIRST_STEP = 0.001
_LONGEST_STEP = 0.02
_LONGEST = 120


def kill_all(search: Callable[[], list[int]], place: str) -> None:
    """Kill (SIGKILL) every process that ``search`` returns, until it returns none.

    It sleeps between two searches. On a guest's virtual clock a loop that never sleeps has the one processor for ever,
    and a killed process needs it to end.

    Raises TeardownError, which names the processes and ``place``, if they do not end.
    """
    until = time.monotonic() + _PATIENCE
    step = _FIRST_STEP
    while pids := search():
        if time.monotonic() >= until:
            left = ", ".join(map(_description, pids))
            raise TeardownError(f"{place}: {left} did not end within {show_duration(_PATIENCE)} of SIGKILL")
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(step)
        step = min(2 * step, _LONGEST_STEP)


def _description(pid: int) -> str:
    """Return a process's id, its command or else its name, and its state (proc(5))."""
    try:
        words = os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes()).split("\0")[:-1]
        name, _, rest = Path(f"/proc/{pid}/stat").read_text(errors="replace").partition("(")[2].rpartition(")")
    except OSError:
        return f"process {pid}"
    return f"process {pid} ({shlex.join(words)[:_LONGEST] or name}, state {rest.split()[0]})"
