"""Dump a process's threads: their frames from py-spy if possible, and the kernel call each waits in."""

from __future__ import annotations

import functools
import os
import time
from pathlib import Path

from halfopen.netns import processes
from halfopen.thread_dump import locks, proc, pyspy
from halfopen.thread_dump.frames import Dump, Frame, Thread
from halfopen.thread_dump.proc import Task
from halfopen.thread_dump.pyspy import PythonFrame, PythonThread
from halfopen.thread_dump.source import SourceFile

#: Seconds by which a file may be newer than its process. A process's start is known only in ticks.
_TOLERANCE = 1.0


def dump(pid: int) -> Dump:
    """Dump the threads of a process. A Python process is stopped for some milliseconds meanwhile.

    Raises ThreadsError only if nothing at all can be read: there is no such process, or it is not ours.
    """
    seen = proc.tasks(pid)
    try:
        known = pyspy.threads(pid)
    except pyspy.UnavailableError as why:
        return Dump(pid, "proc", str(why), tuple(Thread(task.tid, task.name, task.doing) for task in seen))
    # Read the tasks again: the call that a thread waits in now is closer in time to its frames.
    return Dump(pid, "py-spy", None, joined(known, proc.tasks(pid), functools.cache(_Files(pid).read)))


def joined(known: list[PythonThread], seen: list[Task], sources: locks.Sources) -> tuple[Thread, ...]:
    """Join the views of Python and the kernel on the same threads, in the order of their ids."""
    frames = {thread.os_thread_id: thread for thread in known}
    pairs = [(task, frames.get(task.own_tid)) for task in seen]
    stacks = [locks.Stack(thread.frames if thread else (), task.awaits_futex) for task, thread in pairs]
    inferred = locks.infer(stacks, sources)
    return tuple(
        Thread(
            tid=task.tid,
            name=(thread and thread.thread_name) or task.name,
            doing=task.doing,
            frames=tuple(_frame(frame, sources) for frame in reversed(thread.frames)) if thread else (),
            holds=its.holds,
            waits_for=its.waits_for,
        )
        for (task, thread), its in zip(pairs, inferred, strict=True)
    )


def _frame(frame: PythonFrame, sources: locks.Sources) -> Frame:
    source = sources(frame.filename)
    return Frame(frame.name, frame.filename, frame.line, source.line(frame.line) if source else "")


class _Files:
    """Source files as a process sees them. A container has other files under the same names."""

    def __init__(self, pid: int) -> None:
        self._process = Path("/proc", str(pid))
        self._begun = _begun(pid)

    def read(self, name: str) -> SourceFile | None:
        """Return a file.

        None if it cannot be read, or has changed since the process began and so is not the code that runs.
        """
        path = self._process / "root" / name.lstrip("/") if name.startswith("/") else self._process / "cwd" / name
        try:
            if self._begun + _TOLERANCE < path.stat().st_mtime <= time.time():
                return None
            return SourceFile(path.read_text(errors="replace"))
        except (OSError, ValueError):
            return None


def _begun(pid: int) -> float:
    """Return when a process began, in seconds of the time of day (proc_pid_stat(5), starttime); now if it is gone."""
    fields = processes.stat(pid)
    if fields is None:
        return time.time()
    ago = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return time.time() - ago
