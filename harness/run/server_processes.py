"""Processes of a server: samples of what they hold, their ends, and which of them serve or listen."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections.abc import Iterator

from halfopen.errors import FaultError
from halfopen.model.journal import Journal
from halfopen.model.timeline import ProcessSample
from halfopen.netns.host import Host
from halfopen.netns.processes import usage
from halfopen.netns.sockets import Address
from halfopen.targets.base import Running, Site

#: Seconds between samples.
_INTERVAL = 1.0


@contextlib.contextmanager
def sampling_processes(host: Host, journal: Journal) -> Iterator[None]:
    """Sample the processes in ``host`` in a thread of its own until the context is left."""
    over = threading.Event()

    def sample() -> None:
        due = time.monotonic()
        while True:
            seen = usage(host.processes())
            if seen.processes:
                journal.sampled_processes(ProcessSample(t=time.monotonic(), **seen._asdict()))
            due = max(due + _INTERVAL, time.monotonic())
            if over.wait(due - time.monotonic()):
                return

    thread = threading.Thread(target=sample, name="process-sampler", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


class ProcessEnds:
    """Watches the processes that serve a session, by pidfd (pidfd_open(2)), in a thread of its own."""

    def __init__(self, server: Running, journal: Journal) -> None:
        self._server = server
        self._journal = journal
        self._names: dict[int, tuple[str, int]] = {}
        self._wake_up, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._run, name="process-ends", daemon=True)

    def watch(self, client: Address) -> None:
        """Begin to watch the server's command, and the processes that serve the client at this address."""
        with contextlib.suppress(FaultError):  # a container's process may have no id that is valid here
            self._add("launcher_ended", self._server.process.pid)
            for pid in serving(self._server.site, client):
                self._add("serving_process_ended", pid)
        self._thread.start()

    def _add(self, name: str, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._names[os.pidfd_open(pid)] = (name, pid)

    def close(self) -> None:
        """Stop watching."""
        os.close(self._wake)
        if self._thread.ident is not None:
            self._thread.join()
        for fd in (*self._names, self._wake_up):
            os.close(fd)

    def _run(self) -> None:
        waiting = set(self._names)
        while waiting:
            ready, _, _ = select.select([*waiting, self._wake_up], [], [])
            moment = time.monotonic()
            if self._wake_up in ready:
                return
            for fd in ready:
                waiting.discard(fd)
                name, pid = self._names[fd]
                self._journal.note("target", name, at=moment, pid=pid)


def serving(site: Site, client: Address) -> list[int]:
    """Return the processes that hold the session of the client at this address and also listen on the site's port.

    Such a process serves other clients too. One that was forked for a single connection may end with it.
    """
    with contextlib.closing(site.host.socket_reader()) as reader:
        sessions = [sample.inode for sample in reader.connections(site.port) if sample.remote == client]
    workers = accepting(site)
    return [pid for session in sessions for pid in site.host.holders(session) if pid in workers]


def accepting(site: Site) -> set[int]:
    """Return the processes that hold a socket which listens on the site's port."""
    with contextlib.closing(site.host.socket_reader()) as reader:
        listeners = {listener.inode for listener in reader.listeners(site.port)}
    return {pid for listener in listeners for pid in site.host.holders(listener)}


def is_gone(server: Running) -> bool:
    """True if the server's command has ended and no other process listens in its place."""
    if server.process.exit_code is None:
        return False
    with contextlib.closing(server.site.host.socket_reader()) as reader:
        return not reader.listeners(server.site.port)
