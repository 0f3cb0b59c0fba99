from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from halfopen.netns import _libc, isolation, processes
from halfopen.netns.lab import Lab
from halfopen.netns.lab_errors import LabError, TeardownError
from halfopen.netns.processes import HostProc
from tests.isolated import isolated
from tests.machine import UNPRIVILEGED, needs_labs, needs_unshare

#: No Linux process has such an id (PID_MAX_LIMIT, include/linux/threads.h).
NOBODY = 1 << 22


@contextlib.contextmanager
def child() -> Iterator[int]:
    pid = os.fork()
    if pid == 0:
        signal.pause()
        os._exit(1)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def inode(sock: socket.socket) -> int:
    return os.fstat(sock.fileno()).st_ino


def test_a_process_and_those_below_it_are_a_family() -> None:
    with child() as pid:
        assert pid in processes.family(os.getpid())
        assert processes.family(pid) == [pid]
        assert processes.parent(pid) == os.getpid()
        assert processes.is_alive(pid)
    assert not processes.is_alive(pid)
    assert processes.parent(pid) is None


def test_its_sockets_are_known_by_their_inodes() -> None:
    with socket.socket() as sock:
        assert inode(sock) in processes.sockets_of(os.getpid())
        assert processes.holders([inode(sock)]) == {inode(sock): os.getpid()}
        gone = inode(sock)
    assert gone not in processes.sockets_of(os.getpid())
    assert processes.holders([]) == {}


def test_who_is_not_there_is_said_so() -> None:
    with pytest.raises(LabError, match=f"there is no process {NOBODY}"):
        processes.name(NOBODY)
    with pytest.raises(LabError, match=f"there is no process {NOBODY}"):
        processes.join_network(NOBODY)
    assert processes.sockets_of(NOBODY) == set()


def test_a_process_that_does_not_end_is_named_with_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_PATIENCE", 0.01)
    with subprocess.Popen(["sleep", "1000"]) as sleeper, monkeypatch.context() as powerless:
        powerless.setattr(os, "kill", lambda _pid, _signal: None)
        named = rf"^host 'server': process {sleeper.pid} \(sleep 1000, state S\) did not end within 10ms of SIGKILL$"
        with pytest.raises(TeardownError, match=named):
            processes.kill_all(lambda: [sleeper.pid], "host 'server'")
        powerless.undo()
        sleeper.kill()


@needs_unshare
def test_the_files_of_another_are_not_ours_to_look_at() -> None:
    """A process without capabilities in its own user namespace inspects this one."""
    script = f"from halfopen.netns import processes; processes.sockets_of({os.getpid()})"
    ran = subprocess.run([*UNPRIVILEGED, sys.executable, "-c", script], capture_output=True, text=True, check=False)
    if os.geteuid() != 0:
        pytest.skip("an ordinary user's processes have no capabilities to lack")
    assert "run halfopen as its user, or as root" in ran.stderr


def test_an_ordinary_users_process_that_has_ended_holds_nothing() -> None:
    """A zombie's files belong to root. Its parent, an ordinary user, may not inspect them."""
    script = (
        "import os; from halfopen.netns import processes\n"
        "os.geteuid() or os.setuid(65534)\n"
        "pid = os.fork() or os._exit(0)\n"
        "os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)\n"
        "print(processes.sockets_of(pid), end='')"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.stderr) == ("set()", "")


@needs_labs
@isolated
def test_the_network_of_another_process_is_entered() -> None:
    with Lab() as lab:
        host = lab.host("host")
        with host.entered():
            its_own = child()
            pid = its_own.__enter__()
        with contextlib.closing(socket.socket()), contextlib.ExitStack() as stack:
            stack.push(its_own.__exit__)
            assert os.stat("/proc/self/ns/net").st_ino != os.stat(f"/proc/{pid}/ns/net").st_ino
            processes.join_network(pid)
            assert os.stat("/proc/self/ns/net").st_ino == os.stat(f"/proc/{pid}/ns/net").st_ino


@needs_labs
@isolated
def test_a_network_that_may_not_be_entered_is_told_with_what_to_do() -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted", "setns")

    with Lab() as lab, pytest.MonkeyPatch.context() as patch:
        host = lab.host("host")
        with host.entered():
            its_own = child()
            pid = its_own.__enter__()
        patch.setattr(_libc, "setns", refuse)
        with pytest.raises(
            LabError, match=rf"operation not permitted; run halfopen as root, or inside: nsenter --net --target {pid}"
        ):
            processes.join_network(pid)
        patch.undo()
        its_own.__exit__(None, None, None)


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


@needs_labs
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


@needs_labs
@isolated
def test_a_process_of_another_control_group_is_not_taken_for_the_one_that_is_meant() -> None:
    with HostProc() as outside, server_elsewhere() as pid, pytest.raises(LabError, match="is not in control group"):
        outside.network_namespace(pid, "no-such-group")


@needs_labs
@isolated
def test_a_process_that_is_gone_is_named() -> None:
    with HostProc() as outside:
        with server_elsewhere() as pid:
            pass
        with pytest.raises(LabError, match=f"there is no process {pid}"):
            outside.network_namespace(pid, ANY)


@needs_labs
@isolated
def test_a_namespace_that_may_not_be_entered_makes_no_host() -> None:
    with Lab() as lab, open("/proc/self/ns/mnt") as other, pytest.raises(OSError, match="setns"):
        lab.adopt("server", other.fileno())


def test_a_socket_of_another_process_is_borrowed_by_its_inode_and_left_as_it_was() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        with processes.borrowed(os.getpid(), inode(client)) as same:
            assert same.getsockname() == client.getsockname()
            assert same.fileno() != client.fileno()
        assert client.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), "it is still open"


def test_a_socket_that_a_process_does_not_hold_is_not_borrowed() -> None:
    with child() as pid, socket.socket() as ours, pytest.raises(OSError), processes.borrowed(pid, inode(ours)):  # noqa: PT011
        pytest.fail("it was borrowed")


def test_a_command_line_has_its_arguments_and_that_of_no_process_is_empty() -> None:
    assert sys.executable.rpartition("/")[2][:6] in processes.command_line(os.getpid())[0]
    assert processes.command_line(1 << 22) == []


@needs_unshare
def test_the_permission_to_duplicate_is_known_without_a_descriptor() -> None:
    with child() as pid:
        assert processes.refusal_to_duplicate(pid) == 0
    assert processes.refusal_to_duplicate(1 << 22) == errno.ESRCH
    with child() as pid:
        # Refused: it lacks the capabilities of this process (cap_ptrace_access_check, security/commoncap.c).
        command = [
            sys.executable,
            "-c",
            f"from halfopen.netns import processes as p; print(p.refusal_to_duplicate({pid}))",
        ]
        asked = subprocess.run([*UNPRIVILEGED, *command], capture_output=True, text=True, check=True)
    assert int(asked.stdout) == errno.EPERM


def test_a_descriptor_that_is_no_socket_leaves_no_duplicate_behind() -> None:
    before = os.listdir("/proc/self/fd")
    hear, tell = os.pipe()
    try:
        with pytest.raises(OSError, match="Socket operation on non-socket"), processes.duplicated(os.getpid(), hear):
            pytest.fail("it was duplicated")
    finally:
        os.close(hear)
        os.close(tell)
    assert os.listdir("/proc/self/fd") == before
