"""Processes of this machine, read from /proc: parents, sockets, resources and network namespaces; and their end."""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Self

from halfopen.netns import _libc
from halfopen.netns.lab_errors import LabError, TeardownError
from halfopen.netns.units import show_duration

_SOCKET = "socket:["
#: Beyond the highest descriptor that a process can have (fs.nr_open).
_NO_DESCRIPTOR = (1 << 31) - 1
_PAGE = os.sysconf("SC_PAGE_SIZE")
#: Most bytes of /proc/PID/stat, and fields after the command's name (proc_pid_stat(5)).
_LONGEST_STAT = 2048
_THREADS, _RSS = 17, 21
#: Seconds within which killed processes must be gone.
_PATIENCE = 4.0
#: Seconds between two searches for processes to kill: at first, and at most.
_FIRST_STEP = 0.001
_LONGEST_STEP = 0.02
#: Most characters of a command line in an error.
_LONGEST = 120


def pids() -> Iterator[int]:
    """Return the ids of all visible processes."""
    return (int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit())


def stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat from the state on (proc_pid_stat(5)); None if the process is gone."""
    # Few system calls: this is read for each of a server's processes each second, which counts in a guest.
    try:
        file = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        text = os.read(file, _LONGEST_STAT)
    except OSError:
        return None
    finally:
        os.close(file)
    return text.rpartition(b")")[2].decode().split()


def name(pid: int) -> str:
    """Return a process's command name (proc_pid_comm(5)); raises LabError if there is no such process."""
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except (FileNotFoundError, ProcessLookupError):
        raise LabError(f"there is no process {pid}") from None


def is_alive(pid: int) -> bool:
    """True if the process exists and is no zombie."""
    return parent(pid) is not None


def parent(pid: int) -> int | None:
    """Return the process that started or adopted this one; None if it is gone or a zombie."""
    fields = stat(pid)
    return None if fields is None or fields[0] in "ZX" else int(fields[1])


def children(pid: int) -> dict[int, list[str]]:
    """Return the children of a process, zombies included, with the fields of :func:`stat`."""
    return {child: fields for child in pids() if (fields := stat(child)) and int(fields[1]) == pid}


def family(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    by_parent: dict[int | None, list[int]] = {}
    for process in pids():
        by_parent.setdefault(parent(process), []).append(process)
    members = [pid]
    for member in members:  # grows meanwhile
        members.extend(by_parent.get(member, ()))
    return members


def socket_descriptors(pid: int) -> Iterator[tuple[int, int]]:
    """Yield descriptor and inode of each socket that a process holds (proc_pid_fd(5)); raises PermissionError."""
    folder = f"/proc/{pid}/fd"
    try:
        numbers = [entry.name for entry in os.scandir(folder)]
    except (FileNotFoundError, ProcessLookupError):
        return
    for number in numbers:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            target = os.readlink(f"{folder}/{number}")  # noqa: PTH115 (ten thousand times; a Path is four times slower)
            if target.startswith(_SOCKET):
                yield int(number), int(target[len(_SOCKET) : -1])


def open_sockets(pid: int) -> Iterator[int]:
    """Yield the inodes of the sockets that a process holds; raises PermissionError."""
    return (inode for _, inode in socket_descriptors(pid))


@contextlib.contextmanager
def duplicated(pid: int, number: int) -> Iterator[socket.socket]:
    """Yield a duplicate of a process's descriptor (pidfd_getfd(2)); raises OSError, also if it is no socket.

    The process may have reused the number since you learned it, so check which socket this is.
    """
    process = os.pidfd_open(pid)
    try:
        descriptor = _libc.pidfd_getfd(process, number)
    finally:
        os.close(process)
    try:
        duplicate = socket.socket(fileno=descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    with duplicate:
        yield duplicate


@contextlib.contextmanager
def borrowed(pid: int, inode: int) -> Iterator[socket.socket]:
    """Yield a duplicate of the socket with this inode that a process holds; raises OSError."""
    numbers = [number for number, held in socket_descriptors(pid) if held == inode]
    if not numbers:
        raise FileNotFoundError(errno.ENOENT, f"process {pid} does not hold socket {inode}")
    with duplicated(pid, numbers[0]) as duplicate:
        yield duplicate


def refusal_to_duplicate(pid: int) -> int:
    """Return the errno with which the kernel refuses duplicates of a process's descriptors; 0 if it permits them.

    The permission is checked before the number (__pidfd_fget, kernel/pid.c), so a number that no process has will do.
    """
    try:
        process = os.pidfd_open(pid)
    except OSError as error:
        return error.errno or errno.EPERM
    try:
        os.close(_libc.pidfd_getfd(process, _NO_DESCRIPTOR))
    except OSError as error:
        return 0 if error.errno == errno.EBADF else error.errno or errno.EPERM
    finally:
        os.close(process)
    return 0


def command_line(pid: int) -> list[str]:
    """Return a process's command and its arguments (proc_pid_cmdline(5)); empty if the process is gone."""
    try:
        return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes()).split("\0")[:-1]
    except OSError:
        return []


def sockets_of(pid: int) -> set[int]:
    """Return the inodes of the sockets that a process holds; empty if it has ended.

    Raises LabError if we lack the permission.
    """
    try:
        return set(open_sockets(pid))
    except PermissionError:
        # An ended process belongs to root, whoever its owner was. It has no memory left (vsize), even before it is a
        # zombie.
        fields = stat(pid)
        if fields is None or fields[0] in "ZX" or fields[20] == "0":
            return set()
        raise LabError(
            f"this user may not read the files of process {pid} ({name(pid)}); run halfopen as its user, or as root"
        ) from None


def holders(inodes: Iterable[int]) -> dict[int, int]:
    """Return the process that holds each of these sockets (the first of several), as far as visible."""
    wanted = set(inodes)
    owners: dict[int, int] = {}
    for pid in pids() if wanted else ():
        with contextlib.suppress(OSError):
            for inode in open_sockets(pid):
                if inode in wanted:
                    owners.setdefault(inode, pid)
    return owners


def join_network(pid: int) -> None:
    """Move the calling thread, which must be the only one, into a process's network namespace.

    If that namespace belongs to a user namespace in which we are root (a rootless container of our own), this process
    joins the user namespace too. Raises LabError if it may not (setns(2)).
    """
    here = Path(f"/proc/{os.getpid()}/ns")
    there = Path(f"/proc/{pid}/ns")
    name(pid)
    try:
        if (there / "net").stat().st_ino == (here / "net").stat().st_ino:
            return
        with (there / "net").open("rb") as network:
            try:
                _libc.setns(network.fileno(), _libc.CLONE_NEWNET)
            except PermissionError:
                with (there / "user").open("rb") as user:
                    _libc.setns(user.fileno(), _libc.CLONE_NEWUSER)
                _libc.setns(network.fileno(), _libc.CLONE_NEWNET)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise LabError(
            f"cannot enter the network namespace of process {pid} ({name(pid)}): {why}; "
            f"run halfopen as root, or inside: nsenter --net --target {pid} halfopen COMMAND"
        ) from None


class Usage(NamedTuple):
    """The sum over some processes."""

    processes: int
    rss: int
    """Resident memory, bytes (proc_pid_stat(5)). Pages that processes share count for each."""
    threads: int
    files: int
    """Open descriptors."""


def usage(pids: Iterable[int]) -> Usage:
    """Return what these processes hold now. Those that are gone, or may not be read, count nothing."""
    total = [0, 0, 0, 0]
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            for n, count in enumerate(_usage_of(pid)):
                total[n] += count
    return Usage(*total)


def _usage_of(pid: int) -> tuple[int, int, int, int]:
    """Return the usage of one process; raises OSError if it may not be read."""
    if (fields := stat(pid)) is None:
        return 0, 0, 0, 0
    # The size of this folder is the number of its entries since Linux 6.2, and 0 before (proc_pid_fd(5)).
    folder = f"/proc/{pid}/fd"
    files = os.stat(folder).st_size or len(os.listdir(folder))  # noqa: PTH116, PTH208 (each second)
    return 1, int(fields[_RSS]) * _PAGE, int(fields[_THREADS]), files


class Work(NamedTuple):
    """The work of some processes so far."""

    processes: int
    seconds: float
    """Processor time, with that of children which have ended."""
    runs: bool
    """True if one of their threads runs, waits for a processor, or waits for a disk."""


def work(pids: Iterable[int]) -> Work:
    """Return what these processes have worked. Those that are gone count nothing."""
    seen = [fields for pid in pids if (fields := stat(pid)) and fields[0] not in "ZX"]
    ticks = sum(int(number) for fields in seen for number in fields[11:15])
    return Work(len(seen), ticks / os.sysconf("SC_CLK_TCK"), any(fields[0] in "RD" for fields in seen))


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
        name, _, rest = Path(f"/proc/{pid}/stat").read_text(errors="replace").partition("(")[2].rpartition(")")
    except OSError:
        return f"process {pid}"
    return f"process {pid} ({shlex.join(command_line(pid))[:_LONGEST] or name}, state {rest.split()[0]})"


class HostProc:
    """The machine's processes, for use in namespaces of our own; also works in forked processes.

    In a pid namespace of its own (halfopen.netns.isolation) a process cannot name the machine's other processes, and
    the fresh /proc does not show them. A descriptor of the earlier /proc leads to the old one (proc(5)), even if
    another is mounted over it. Process ids are those of the namespace where this is created.
    """

    def __init__(self) -> None:
        self._proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._proc)

    def network_namespace(self, pid: int, control_group: str) -> int:
        """Return a descriptor of a process's network namespace; raises LabError if it may not be read."""
        with self._process(pid, control_group) as process:
            return os.open("ns/net", os.O_RDONLY | os.O_CLOEXEC, dir_fd=process)

    def is_stopped(self, pid: int, control_group: str) -> bool:
        """True if a signal has stopped a process (proc(5), state T); raises LabError."""
        with self._process(pid, control_group) as process:
            return _read(process, "stat").rpartition(")")[2].split()[0] == "T"

    @contextlib.contextmanager
    def _process(self, pid: int, control_group: str) -> Iterator[int]:
        """Open a process's folder in /proc once, so that its number cannot pass to another process meanwhile.

        ``control_group`` is part of the name of its control group (cgroups(7)). It confirms that this is the intended
        process: the number may come from another pid namespace.
        """
        try:
            process = os.open(str(pid), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._proc)
        except FileNotFoundError:
            raise LabError(f"there is no process {pid} on this machine") from None
        try:
            if control_group not in _read(process, "cgroup"):
                raise LabError(f"process {pid} of this machine is not in control group {control_group}")
            yield process
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise LabError(f"cannot read process {pid} of this machine: {why}") from None
        finally:
            os.close(process)


def _read(folder: int, name: str) -> str:
    with os.fdopen(os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)) as file:
        return file.read()
