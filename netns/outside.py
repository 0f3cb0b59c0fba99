"""What processes in namespaces of their own may still know of the machine: its processes, by a descriptor of /proc.

In a pid namespace of its own (halfopen.netns.isolation) a process cannot name the others of the machine, and the fresh
/proc does not show them. A descriptor of the /proc from before leads to the old one (proc(5)), whatever was mounted
since.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Self

from halfopen.netns.errors import LabError


class Outside:
    """The machine's processes as they are numbered where this is made; works on in whatever is forked from there."""

    def __init__(self) -> None:
        self._proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._proc)

    def network_namespace(self, pid: int, control_group: str) -> int:
        """A descriptor of the network namespace that a process is in; raises LabError where it may not be looked at."""
        with self._process(pid, control_group) as process:
            return os.open("ns/net", os.O_RDONLY | os.O_CLOEXEC, dir_fd=process)

    def is_stopped(self, pid: int, control_group: str) -> bool:
        """Whether a signal has stopped a process (proc(5), state T); raises LabError."""
        with self._process(pid, control_group) as process:
            return _read(process, "stat").rpartition(")")[2].split()[0] == "T"

    @contextlib.contextmanager
    def _process(self, pid: int, control_group: str) -> Iterator[int]:
        """A descriptor of what /proc has of a process: one, so that its number cannot become another's meanwhile.

        ``control_group`` is a part of the name of its control group (cgroups(7)), by which it is known to be the one
        that is meant: who numbered it may have been in another pid namespace.
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
