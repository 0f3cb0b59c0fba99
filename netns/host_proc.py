"""Access from namespaces of our own to the machine's processes, by a descriptor of /proc.

In a pid namespace of its own (halfopen.netns.isolation) a process cannot name the machine's other processes, and the
fresh /proc does not show them. A descriptor of the earlier /proc leads to the old one (proc(5)), even if another is
mounted over it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Self

from halfopen.netns.lab_errors import LabError


class HostProc:
    """The machine's processes, numbered as in the namespace where this is created; also works in forked processes."""

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
                raise LabError(f"process {pid} of this machine is another one: not of control group {control_group}")
            yield process
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise LabError(f"cannot look at process {pid} of this machine: {why}") from None
        finally:
            os.close(process)


def _read(folder: int, name: str) -> str:
    with os.fdopen(os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)) as file:
        return file.read()
