"""Dump a process's threads: the kernel's view, in any language, and their frames from py-spy if possible.

The kernel shows names, states, and the calls that threads wait in. It does so in the files of proc(5),
``/proc/PID/task/TID/{comm,status,syscall,wchan}``. The last two need the permission of ptrace(2), and not every kernel
has them.
"""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import re
import socket
import struct
import time
from dataclasses import dataclass
from pathlib import Path

from halfopen.netns import processes
from halfopen.netns.sockets import Address, ip_text
from halfopen.thread_dump import locks, pyspy
from halfopen.thread_dump.frames import Dump, Frame, Thread, ThreadsError
from halfopen.thread_dump.pyspy import PythonFrame, PythonThread
from halfopen.thread_dump.source import SourceFile

#: Seconds by which a file may be newer than its process. A process's start is known only in ticks.
_TOLERANCE = 1.0

_FUTEX = "futex"
#: Index of the futex argument that points to a timeout.
_TIMEOUT = 3
#: Column of each machine in the table below.
_COLUMNS = {"x86_64": 0, "aarch64": 1, "riscv64": 1}
#: Numbers of the calls in which threads wait: arch/x86/entry/syscalls/syscall_64.tbl, and
#: include/uapi/asm-generic/unistd.h, which newer architectures share.
_NUMBERS: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63),
    "write": (1, 64),
    "poll": (7, None),
    "readv": (19, 65),
    "writev": (20, 66),
    "select": (23, None),
    "nanosleep": (35, 101),
    "connect": (42, 203),
    "accept": (43, 202),
    "sendto": (44, 206),
    "recvfrom": (45, 207),
    "sendmsg": (46, 211),
    "recvmsg": (47, 212),
    "wait4": (61, 260),
    "flock": (73, 32),
    "rt_sigtimedwait": (128, 137),
    _FUTEX: (202, 98),
    "restart_syscall": (219, 128),
    "clock_nanosleep": (230, 115),
    "epoll_wait": (232, None),
    "waitid": (247, 95),
    "pselect6": (270, 72),
    "ppoll": (271, 73),
    "epoll_pwait": (281, 22),
    "accept4": (288, 242),
    "io_uring_enter": (426, 426),
    "epoll_pwait2": (441, 441),
}
#: Calls whose first argument is the descriptor they wait at.
_AT_A_DESCRIPTOR = re.compile(r"(read|write|send|recv|accept|connect)")
#: Purpose of the other calls.
_FOR = {
    _FUTEX: "for a lock or a condition",
    **dict.fromkeys(("nanosleep", "clock_nanosleep"), "for a time"),
    **dict.fromkeys(("wait4", "waitid"), "for a process"),
    **dict.fromkeys(("poll", "ppoll", "select", "pselect6"), "for something to happen"),
    **dict.fromkeys(("epoll_wait", "epoll_pwait", "epoll_pwait2"), "for something to happen"),
}
_STATES = {
    "R": "running",
    "S": "sleeping",
    "D": "in uninterruptible sleep",
    "T": "stopped",
    "t": "stopped by a tracer",
    "Z": "ended, not yet waited for",
    "X": "ended",
    "I": "idle",
}


@dataclass(frozen=True, slots=True)
class Task:
    """One thread as the kernel sees it."""

    tid: int
    own_tid: int
    """Its id in the innermost of its pid namespaces, which is the one that it sees itself."""
    name: str
    doing: str
    awaits_futex: bool | None
    """True if it waits at a futex(2) without a timeout, as one does for a lock; None if that is not known.

    A thread that waits for Python's GIL has a timeout (take_gil, Python/ceval_gil.c).
    """


def dump(pid: int) -> Dump:
    """Dump the threads of a process. A Python process is stopped for some milliseconds meanwhile.

    Raises ThreadsError only if nothing at all can be read: there is no such process, or it is not ours.
    """
    seen = tasks(pid)
    try:
        known = pyspy.threads(pid)
    except pyspy.UnavailableError as why:
        return Dump(pid, "proc", str(why), tuple(Thread(task.tid, task.name, task.doing) for task in seen))
    sources = functools.cache(functools.partial(_source, pid, _begun(pid)))
    # Read the tasks again: the call that a thread waits in now is closer in time to its frames.
    return Dump(pid, "py-spy", None, joined(known, tasks(pid), sources))


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


def tasks(pid: int) -> list[Task]:
    """Return a process's threads, in the order of their ids; raises ThreadsError if none can be seen."""
    folder = Path("/proc", str(pid), "task")
    try:
        numbers = sorted(int(entry.name) for entry in folder.iterdir())
    except FileNotFoundError:
        raise ThreadsError(f"there is no process {pid} here") from None
    except PermissionError:
        raise ThreadsError(f"this user may not read process {pid}; run halfopen as its user, or as root") from None
    except OSError as error:
        raise ThreadsError(f"the threads of process {pid} cannot be read: {error.strerror}") from None
    threads = [task for tid in numbers if (task := _task(folder / str(tid))) is not None]
    if not threads:
        raise ThreadsError(f"process {pid} ended")
    return threads


def _task(folder: Path) -> Task | None:
    """Return one thread; None if it is gone."""
    try:
        fields = dict(re.findall(r"^(\w+):\t(.*)$", (folder / "status").read_text(errors="replace"), re.MULTILINE))
    except OSError:
        return None
    call, arguments = _call(_read(folder / "syscall"), platform.machine())
    # In no call now, although it was and will be: it is stopped, or py-spy has just resumed it and it has not run yet.
    is_between = fields["State"][:1] in "TtR"
    return Task(
        tid=int(folder.name),
        own_tid=int(fields.get("NSpid", folder.name).split()[-1]),
        name=fields["Name"],
        doing=_doing(folder, call, arguments, fields["State"]),
        awaits_futex=None if call is None or is_between else call == _FUTEX and arguments[_TIMEOUT] == 0,
    )


def _read(file: Path) -> str:
    """Return the text of a file in /proc; empty if it cannot be read."""
    with contextlib.suppress(OSError):
        return file.read_text(errors="replace").strip()
    return ""


def _call(text: str, machine: str) -> tuple[str | None, tuple[int, ...]]:
    """Return the name of a call and its arguments, from ``/proc/PID/task/TID/syscall``.

    The name is empty if the thread is in no call, or in one without a name here. It is None if nothing is known.
    """
    if not text:
        return None, ()
    number, *arguments = text.split()
    if not arguments or number == "-1":  # it runs, or waits outside a call
        return "", ()
    column = _COLUMNS.get(machine)
    names = (name for name, numbers in _NUMBERS.items() if column is not None and numbers[column] == int(number))
    return next(names, ""), tuple(int(argument, 16) for argument in arguments)


def _doing(folder: Path, call: str | None, arguments: tuple[int, ...], state: str) -> str:
    """Describe a thread's activity as closely as known."""
    letter = state[:1]
    if letter in "TtZX":
        return _STATES[letter]
    if call and _AT_A_DESCRIPTOR.match(call):
        return f"{call} on {_descriptor(folder, arguments[0])}"
    if call:
        return f"{call}, {_FOR[call]}" if call in _FOR else call
    # A guest shows no calls, and its wchan is not a real place.
    where = _read(folder / "wchan") if (folder / "syscall").exists() else ""
    asleep = where not in ("", "0") and letter != "R"
    words = _STATES.get(letter, state)
    return f"{words} in the kernel's {where}" if asleep else words


def _descriptor(folder: Path, number: int) -> str:
    """Describe the target of a thread's descriptor."""
    try:
        leads_to = str((folder / "fd" / str(number)).readlink())
    except OSError:
        return f"descriptor {number}"
    inode = re.fullmatch(r"socket:\[(\d+)\]", leads_to)
    if not inode:
        return leads_to
    ends = _ends(folder, inode[1])
    return f"socket {ends}" if ends else f"socket (descriptor {number})"


def _ends(folder: Path, inode: str) -> str:
    """Return the addresses of a TCP socket in the thread's network namespace; empty if it is no TCP socket."""
    for table in ("tcp", "tcp6"):
        for line in _read(folder / "net" / table).splitlines()[1:]:
            fields = line.split()
            if len(fields) > 9 and fields[9] == inode:
                local, remote = _address(fields[1]), _address(fields[2])
                return f"{local} -> {remote}" if not remote.endswith(":0") else local
    return ""


def _address(text: str) -> str:
    """Parse an address of ``/proc/net/tcp``: hexadecimal words in the machine's byte order, and the port."""
    words, _, port = text.partition(":")
    raw = b"".join(struct.pack("=I", int(words[at : at + 8], 16)) for at in range(0, len(words), 8))
    family = socket.AF_INET if len(raw) == 4 else socket.AF_INET6
    return str(Address(ip_text(family, raw), int(port, 16)))
