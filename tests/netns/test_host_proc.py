"""The way from private namespaces to those of an outside process: through files opened before entering them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from halfopen.netns import isolation
from halfopen.netns.host_proc import HostProc
from halfopen.netns.lab import Lab
from halfopen.netns.lab_errors import LabError
from tests.isolated import isolated
from tests.machine import needs_labs

pytestmark = needs_labs

#: Part of the name of every control group (cgroups(7)).
ANY = "/"
SERVER = """
import socket
from halfopen.netns import _libc
_libc.unshare(_libc.CLONE_NEWNET)
server = socket.create_server(("0.0.0.0", 80))
print(flush=True)
client, _ = server.accept()
client.sendall(b"from inside")
input()
"""


@contextlib.contextmanager
def server_elsewhere() -> Iterator[int]:
    """Yield the id of a process with its own network namespace, in which it answers at port 80."""
    command = [sys.executable, "-c", SERVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.kill()


@isolated
def test_a_network_namespace_outside_becomes_a_host_that_is_reached_by_a_link() -> None:
    with HostProc() as outside, server_elsewhere() as pid:
        assert isolation.run(lambda: _ask(outside, pid)) == 0


def _ask(outside: HostProc, pid: int) -> int:
    namespace = outside.network_namespace(pid, ANY)
    with Lab() as lab:
        host, router = lab.adopt("server", namespace), lab.router("router")
        os.close(namespace)
        link = lab.link(router, host)
        with router.connect((link.end(host).ip, 80), 10.0) as client:
            return 0 if client.recv(100) == b"from inside" else 1


@isolated
def test_a_process_of_another_control_group_is_not_taken_for_the_one_that_is_meant() -> None:
    with HostProc() as outside, server_elsewhere() as pid, pytest.raises(LabError, match="is another one"):
        outside.network_namespace(pid, "no-such-group")


@isolated
def test_a_process_that_is_gone_is_named() -> None:
    with HostProc() as outside:
        with server_elsewhere() as pid:
            pass
        with pytest.raises(LabError, match=f"there is no process {pid}"):
            outside.network_namespace(pid, ANY)


@isolated
def test_a_namespace_that_may_not_be_entered_makes_no_host() -> None:
    with Lab() as lab, open("/proc/self/ns/mnt") as other, pytest.raises(OSError, match="setns"):
        lab.adopt("server", other.fileno())
