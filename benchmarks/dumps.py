"""One sample of all connections of a port: SocketReader against ``ss -tinH`` with the same filter."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import socket
import subprocess
from collections.abc import Iterator

from benchmarks.measuring import heading, race, rows
from halfopen.netns import isolation
from halfopen.netns.host import Host
from halfopen.netns.lab import Lab

COUNTS = (1, 100, 1_000, 10_000)
ROUNDS = 11
PORT = 5090
ADDRESS = ("127.0.0.1", PORT)


def run() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for count in COUNTS:
        if hard < count + 100:
            print(f"A dump of {count:,} sockets: not measured, since only {hard:,} files may be open")
            continue
        isolation.run(lambda count=count: _measure(count))  # type: ignore[misc]


def _measure(count: int) -> int:
    with Lab() as lab:
        host = lab.host("host")
        with _connections(host, count), contextlib.closing(host.socket_reader()) as reader:

            def ours(port: int, expected: int) -> None:
                found = len(reader.connections(port))
                assert found == expected, (found, expected)

            name = "SocketReader, the port's end"
            contest = {name: lambda: ours(PORT, count)}
            if shutil.which("ss"):
                contest["ss -tinH, the port's end"] = lambda: _ss(host)
            contest["SocketReader, both ends"] = lambda: ours(0, 2 * count)
            print(heading(f"A dump of {count:,} sockets"))
            print("\n".join(rows(race(contest, ROUNDS), name)))
    return 0


def _ss(host: Host) -> None:
    host.spawn(["ss", "-tinH", "sport", "=", f":{PORT}"], stdout=subprocess.DEVNULL).wait()


@contextlib.contextmanager
def _connections(host: Host, count: int) -> Iterator[None]:
    """Open ``count`` connections. The clients run in a process of their own because of the limit on open files."""
    with contextlib.ExitStack() as stack:
        with host.entered():
            listener = stack.enter_context(socket.create_server(ADDRESS, backlog=1024))
            connected, done = os.pipe()
            clients = os.fork()
            if clients == 0:
                _connect(count, done)
        os.close(done)
        for _ in range(count):
            stack.enter_context(listener.accept()[0])
        os.read(connected, 1)
        try:
            yield
        finally:
            os.kill(clients, 9)
            os.waitpid(clients, 0)
            os.close(connected)


def _connect(count: int, done: int) -> None:
    try:
        held = [socket.create_connection(ADDRESS) for _ in range(count)]
        os.write(done, b"!")
        while held:
            os.read(os.pipe()[0], 1)  # blocks until killed: nothing is written
    finally:
        os._exit(1)
