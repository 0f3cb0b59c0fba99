"""Processes of a server: samples of what they hold, their ends, and which of them serve, listen or hold a session."""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import threading
import time
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager

from halfopen.errors import FaultError
from halfopen.model.journal import Journal
from halfopen.model.timeline import ProcessSample
from halfopen.netns import processes
from halfopen.netns.background import background
from halfopen.netns.host import Host
from halfopen.netns.lab_errors import LabError
from halfopen.netns.processes import usage
from halfopen.netns.sockets import Address, timeouts
from halfopen.targets.base import Running, Site
from halfopen.thread_dump import ThreadsError, dump, render

#: Seconds between samples.
_INTERVAL = 1.0
#: Characters of a line about a thread.
_WIDTH = 118


def sampling_processes(host: Host, journal: Journal) -> AbstractContextManager[None]:
    """Sample the processes in ``host`` in a thread of its own until the context is left."""

    def sample(over: threading.Event) -> None:
        due = time.monotonic()
        while True:
            seen = usage(host.processes())
            if seen.processes:
                journal.sampled_processes(ProcessSample(t=time.monotonic(), **seen._asdict()))
            due = max(due + _INTERVAL, time.monotonic())
            if over.wait(due - time.monotonic()):
                return

    return background(sample, "process-sampler")


class ProcessEnds:
    """Watches the processes that serve a session, by pidfd (pidfd_open(2)), in a thread of its own."""

    def __init__(self, server: Running, journal: Journal) -> None:
        self._server = server
        self._journal = journal
        self._names: dict[int, tuple[str, int]] = {}
        self._wake_up, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._run, name="process-ends", daemon=True)

    def watch(self, client: Sequence[Address], workers: Collection[int]) -> None:
        """Begin to watch the server's command, and those of its workers that serve the client at these addresses.

        ``workers`` are the processes that listened before the client connected: they serve others too. A process that
        was forked for this connection alone may end with it.
        """
        with contextlib.suppress(FaultError):  # a container's process may have no id that is valid here
            self._add("launcher_ended", self._server.process.pid)
            for pid in serving(self._server.site, client):
                if pid in workers:
                    self._add("serving_process_ended", pid)
        self._thread.start()

    def _add(self, name: str, pid: int) -> None:
        with contextlib.suppress(OSError):
            fd = os.pidfd_open(pid)
            self._names[fd] = (name, pid)

    def close(self) -> None:
        """Stop watching."""
        os.close(self._wake)
        if self._thread.ident is not None:
            self._thread.join()
        for fd in (*self._names, self._wake_up):
            os.close(fd)

    def _run(self) -> None:
        poll = select.poll()
        for fd in (*self._names, self._wake_up):
            poll.register(fd, select.POLLIN)
        left = len(self._names)
        while left:
            ready = [fd for fd, _ in poll.poll()]
            moment = time.monotonic()
            if self._wake_up in ready:
                return
            for fd in ready:
                poll.unregister(fd)
                left -= 1
                name, pid = self._names[fd]
                self._journal.note("target", name, at=moment, pid=pid)


def note_timeouts(site: Site, inode: int, journal: Journal) -> None:
    """Note the limits that the kernel keeps for the socket with this inode, if its process can be seen."""
    for pid in site.host.holders(inode)[:1]:
        with contextlib.suppress(OSError), processes.borrowed(pid, inode) as sock:
            journal.note("target", "timeouts", **timeouts(sock)._asdict())


def note_holders(server: Running, inode: int, journal: Journal) -> None:
    """Note the processes that hold the socket with this inode, and their threads unless the server prints those."""
    moment = time.monotonic()
    for pid in server.site.host.holders(inode):
        with contextlib.suppress(LabError):
            name, command = processes.name(pid), shlex.join(processes.command_line(pid))
            threads = _threads(server, pid)
            journal.note("target", "holder", moment, pid=pid, process=name, command=command, threads=threads)


def _threads(server: Running, pid: int) -> list[str]:
    if server.prints_stacks:
        return []
    try:
        return render(dump(pid), _WIDTH)
    except ThreadsError:
        return []


def serving(site: Site, client: Sequence[Address]) -> list[int]:
    """Return the processes that hold a session with any of these addresses; port 0 is any."""
    with contextlib.closing(site.host.socket_reader()) as reader:
        sessions = [
            sample.inode
            for sample in reader.connections(site.port)
            if sample.remote in client or Address(sample.remote.ip, 0) in client
        ]
    return site.host.holders(*sessions)


def accepting(site: Site) -> set[int]:
    """Return the processes that hold a socket which listens on the site's port."""
    with contextlib.closing(site.host.socket_reader()) as reader:
        listeners = [listener.inode for listener in reader.listeners(site.port)]
    return set(site.host.holders(*listeners))


def is_gone(server: Running) -> bool:
    """True if the server's command has ended and no other process listens in its place."""
    if server.process.exit_code is None:
        return False
    with contextlib.closing(server.site.host.socket_reader()) as reader:
        return not reader.listeners(server.site.port)
