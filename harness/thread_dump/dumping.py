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
    sources = functools.cache(functools.partial(_source, pid, _begun(pid)))
    # Read the tasks again: the call that a thread waits in now is closer in time to its frames.
    return Dump(pid, "py-spy", None, joined(known, proc.tasks(pid), sources))


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
            holds=held.holds,
            waits_for=held.waits_for,
        )
        for (task, thread), held in zip(pairs, inferred, strict=True)
    )


def _frame(frame: PythonFrame, sources: locks.Sources) -> Frame:
    source = sources(frame.filename)
    return Frame(frame.name, frame.filename, frame.line, source.line(frame.line) if source else "")


def _source(pid: int, begun: float, name: str) -> SourceFile | None:
    """Return a source file as a process sees it. A container has other files under the same names.

    None if it cannot be read, or has changed since the process began and so is not the code that runs.
    """
    path = Path(f"/proc/{pid}/root", name.lstrip("/")) if name.startswith("/") else Path(f"/proc/{pid}/cwd", name)
    try:
        if begun + _TOLERANCE < path.stat().st_mtime <= time.time():
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
