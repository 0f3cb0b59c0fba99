"""The sockets and the network namespace of a process and its descendants, read from /proc."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from halfopen.netns import _libc
from halfopen.netns.lab_errors import LabError

_SOCKET = "socket:["


def name(pid: int) -> str:
    """Return a process's command name (proc_pid_comm(5)); raises LabError if there is no such process."""
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except (FileNotFoundError, ProcessLookupError):
        raise LabError(f"there is no process {pid}") from None


def is_alive(pid: int) -> bool:
    """True if the process exists and is no zombie."""
    return _parent(pid) is not None


def family(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    children: dict[int, list[int]] = {}
    for one in _all():
        parent = _parent(one)
        if parent is not None:
            children.setdefault(parent, []).append(one)
    found = [pid]
    for one in found:  # grows meanwhile
        found.extend(children.get(one, ()))
    return found


def parent(pid: int) -> int | None:
    """Return the process that started or adopted this one; None if it is gone."""
    return _parent(pid)


def sockets_of(pid: int) -> set[int]:
    """Return the inodes of the sockets that a process holds; empty if it has ended.

    Raises LabError if we lack the permission.
    """
    found = set()
    try:
        for target in _descriptors(pid):
            if target.startswith(_SOCKET):
                found.add(int(target[len(_SOCKET) : -1]))
    except PermissionError:
        # An ended process belongs to root, whoever its owner was.
        if _has_ended(pid):
            return set()
        raise LabError(
            f"the files of process {pid} ({name(pid)}) are not ours to look at; run it as its user, or as root"
        ) from None
    return found


def holders(inodes: Iterable[int]) -> dict[int, int]:
    """Return the process that holds each of these sockets (the first of several), as far as visible."""
    wanted = {f"{_SOCKET}{inode}]": inode for inode in inodes}
    found: dict[int, int] = {}
    for pid in _all() if wanted else ():
        with contextlib.suppress(OSError):
            for target in _descriptors(pid):
                if target in wanted:
                    found.setdefault(wanted[target], pid)
    return found


def join_network(pid: int) -> None:
    """Move the calling thread, which must be the only one, into a process's network namespace.

    If that namespace belongs to a user namespace in which we are root (a rootless container of our own), this process
    joins the user namespace too. Raises LabError if it may not (setns(2)).
    """
    here = Path(f"/proc/{os.getpid()}/ns")
    there = Path(f"/proc/{pid}/ns")
    name(pid)
    try:
        if _same(there / "net", here / "net"):
            return
        with contextlib.ExitStack() as opened:
            network = _opened(there / "net", opened)
            try:
                _libc.setns(network, _libc.CLONE_NEWNET)
            except PermissionError:
                _libc.setns(_opened(there / "user", opened), _libc.CLONE_NEWUSER)
                _libc.setns(network, _libc.CLONE_NEWNET)
    except (PermissionError, OSError) as error:
        raise LabError(_refused(pid, error)) from None


def _refused(pid: int, error: OSError) -> str:
    why = (error.strerror or str(error)).lower()
    return (
        f"cannot look into the network of process {pid} ({name(pid)}): {why}; "
        f"run it as root, or inside: nsenter --net --target {pid} halfopen watch ..."
    )


def _same(one: Path, other: Path) -> bool:
    return one.stat().st_ino == other.stat().st_ino


def _opened(path: Path, closing: contextlib.ExitStack) -> int:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    closing.callback(os.close, fd)
    return fd


def _all() -> Iterator[int]:
    return (int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit())


def _parent(pid: int) -> int | None:
    try:
        state, parent_pid = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return None
    return None if state in "ZX" else int(parent_pid)


def _has_ended(pid: int) -> bool:
    """True if the process has ended, or nearly: it has no memory and no files left (proc_pid_stat(5), state, vsize)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return True
    return fields[0] in "ZX" or fields[20] == "0"


def _descriptors(pid: int) -> Iterator[str]:
    """Yield the targets of a process's descriptors (proc_pid_fd(5)); raises PermissionError."""
    folder = f"/proc/{pid}/fd"
    try:
        numbers = [entry.name for entry in os.scandir(folder)]
    except (FileNotFoundError, ProcessLookupError):
        return
    for number in numbers:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            yield os.readlink(f"{folder}/{number}")  # noqa: PTH115 (ten thousand times; a Path is four times slower)
