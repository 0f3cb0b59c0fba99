"""``halfopen guard`` as a user runs it, around and beside servers that know nothing of it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from halfopen.netns import processes
from tests import no_duplicates
from tests.harness.cli.tool import HALFOPEN, called, halfopen
from tests.harness.guard import servers
from tests.machine import UNPRIVILEGED, needs_unshare
from tests.netns.network import eventually

GRACE, POLL = "1s", "250ms"
QUICK = ["--grace", GRACE, "--poll", POLL]
SERVER = [sys.executable, servers.__file__]
WITHOUT_DUPLICATES = [sys.executable, no_duplicates.__file__]


class Guarded:
    """A guard with a server, and the clients of it."""

    def __init__(self, process: subprocess.Popen[str], port: int, stack: contextlib.ExitStack) -> None:
        self.process, self.port, self._stack = process, port, stack

    def client(self) -> socket.socket:
        """Connect a client with a small buffer. It reads nothing unless it is told to."""
        client = self._stack.enter_context(socket.socket())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        client.connect(("127.0.0.1", self.port))
        return client

    def line(self) -> str:
        """Return the next line of the server's or, on standard error, of the guard's."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def event(self, name: str) -> dict[str, Any]:
        """Return the guard's next event of this name."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            event: dict[str, Any] = json.loads(line)
            if event["event"] == name:
                return event
        raise AssertionError(f"the guard ended before {name}")


def end(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def guarded(kind: str, *options: str, under: Sequence[str] = ()) -> Iterator[Guarded]:
    command = [*under, *HALFOPEN, "guard", *QUICK, "--json", *options, "--", *SERVER, kind]
    with (
        contextlib.ExitStack() as stack,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        assert process.stdout is not None
        try:
            yield Guarded(process, int(process.stdout.readline()), stack)
        finally:
            end(processes.family(process.pid))


def keep_reading(client: socket.socket) -> int:
    """Fork a process that reads all that a client gets. It exits with 0 once the connection has ended."""
    pid = os.fork()
    if not pid:
        with contextlib.suppress(OSError):
            while client.recv(1 << 20):
                pass
        os._exit(0)
    return pid


@contextlib.contextmanager
def reading(client: socket.socket) -> Iterator[None]:
    """Have a client read, and fail if its connection ends meanwhile."""
    pid = keep_reading(client)
    try:
        yield
        assert os.waitpid(pid, os.WNOHANG) == (0, 0), "the living client's connection has ended"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


@pytest.mark.parametrize("kind", servers.KINDS)
def test_a_frozen_client_is_ended_and_a_living_one_is_not_whatever_the_server_is_like(kind: str) -> None:
    with guarded(kind) as guard:
        alive, frozen = guard.client(), guard.client()
        with reading(alive):
            event = guard.event("reap")
            assert event["client"] == "{}:{}".format(*frozen.getsockname())
            assert guard.line().startswith("ended")
            eventually(lambda: frozen.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0, "it is reset")
    assert (event["reason"], event["state"], event["means"]) == ("send_stall", "ESTABLISHED", "duplicate")
    assert event["stuck_s"] >= 1.0
    assert event["queued_bytes"] > 0
    assert event["evidence"]["snd_wnd"] == 0
    assert "python" in event["process"]


@pytest.mark.parametrize("under", [UNPRIVILEGED, []], ids=["ordinary user", "this user"])
@needs_unshare
def test_a_parent_needs_no_privilege(under: list[str]) -> None:
    with guarded("plain", under=under) as guard:
        guard.client()
        assert guard.event("reap")["means"] == "duplicate"


def test_a_dry_run_only_reports_and_only_once() -> None:
    with guarded("plain", "--dry-run") as guard:
        first = guard.client()
        event = guard.event("would_reap")
        assert (event["client"], event["means"]) == ("{}:{}".format(*first.getsockname()), None)
        second = guard.client()
        assert guard.event("would_reap")["client"] == "{}:{}".format(*second.getsockname())
        assert [each.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) for each in (first, second)] == [0, 0]


def test_beyond_the_limit_it_holds() -> None:
    with guarded("plain", "--max-reaps", "1/min") as guard:
        clients = [guard.client() for _ in range(3)]
        assert guard.event("hold")["cause"] == "max_reaps"
        assert guard.event("reap")
        assert sum(client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0 for client in clients) <= 1


def test_a_connection_that_the_server_opened_is_left_alone() -> None:
    """The server is stuck with its database, over a connection from the port that it listens on (SO_REUSEPORT)."""
    script = """
import socket, sys, threading, time
sys.path.insert(0, PATH)
import servers
database = socket.create_server(("127.0.0.1", 0))
listener = servers.listen()
port = listener.getsockname()[1]
own = socket.socket()
for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
    own.setsockopt(socket.SOL_SOCKET, option, 1)
own.bind(("127.0.0.1", port))
own.connect(database.getsockname())
print(port, flush=True)
threading.Thread(target=servers.session, args=("own", own), daemon=True).start()
servers.accept(listener)
""".replace("PATH", repr(os.path.dirname(servers.__file__)))
    command = [*HALFOPEN, "guard", *QUICK, "--json", "--", sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            with contextlib.ExitStack() as stack:
                guard = Guarded(process, int(process.stdout.readline()), stack)
                # Connected later, so stuck for less long than the server's own connection.
                for number in range(2):
                    client = guard.client()
                    assert guard.event("reap")["client"] == "{}:{}".format(*client.getsockname())
                    assert guard.line() == f"ended {number}"
        finally:
            end(processes.family(process.pid))


@contextlib.contextmanager
def running(kind: str, under: Sequence[str] = ()) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Yield a server without a guard, and its port."""
    with subprocess.Popen([*under, *SERVER, kind], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server, int(server.stdout.readline())
        finally:
            end(processes.family(server.pid))


@pytest.mark.parametrize("option", ["--pid", "--listen"])
def test_a_running_server_is_guarded_until_it_ends(option: str) -> None:
    with running("prefork") as (server, port), contextlib.ExitStack() as stack:
        value = str(server.pid if option == "--pid" else port)
        command = [*HALFOPEN, "guard", *QUICK, "--json", option, value]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                guard = Guarded(process, port, stack)
                client = guard.client()
                assert json.loads(guard.line())["event"] == "guarding"
                event = json.loads(guard.line())
                assert (event["event"], event["client"]) == ("reap", "{}:{}".format(*client.getsockname()))
                if option == "--pid":
                    end(processes.family(server.pid))
                    assert json.loads(guard.line())["event"] == "ended"
                else:
                    process.send_signal(signal.SIGINT)
                assert process.wait() == 0
            finally:
                process.kill()


@needs_unshare
def test_a_server_of_another_user_is_refused_in_one_line() -> None:
    with running("plain") as (server, port):
        by_pid = halfopen("guard", "--pid", str(server.pid), under=UNPRIVILEGED)
        assert f"namespace of process {server.pid} (python): permission denied; run halfopen as root" in by_pid.err
        by_port = halfopen("guard", "--listen", str(port), under=UNPRIVILEGED)
        assert by_port.err.startswith(f"halfopen: --listen {port}: this user may not take that process's sockets")
        assert "or run halfopen with CAP_NET_ADMIN (it then uses SOCK_DESTROY)" in by_port.err
        for ran in (by_pid, by_port):
            assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
        assert processes.is_alive(server.pid)


@needs_unshare
def test_a_dry_run_needs_no_privilege() -> None:
    with running("plain") as (_, port):
        command = [*UNPRIVILEGED, *HALFOPEN, "guard", *QUICK, "--json", "--dry-run", "--listen", str(port)]
        with socket.socket() as client, subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
                client.connect(("127.0.0.1", port))
                assert process.stdout is not None
                events = [json.loads(process.stdout.readline()) for _ in range(2)]
            finally:
                process.kill()
    assert [event["event"] for event in events] == ["guarding", "would_reap"]
    assert events[1]["pid"] is None


@needs_unshare
def test_where_even_a_parent_may_not_nothing_is_started() -> None:
    ran = halfopen("guard", "--", "echo", "started", under=[*UNPRIVILEGED, *WITHOUT_DUPLICATES])
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("halfopen: cannot guard a server: ")
    assert "--cap-add SYS_PTRACE" in ran.err


def test_where_even_a_parent_may_not_the_kernel_does_it_for_an_administrator() -> None:
    with guarded("plain", under=WITHOUT_DUPLICATES) as guard:
        guard.client()
        event = guard.event("reap")
    assert event["means"] == "sock_destroy"


def test_the_server_goes_on_if_its_guard_is_killed() -> None:
    with guarded("plain") as guard:
        (server,) = processes.children(guard.process.pid)
        try:
            with reading(guard.client()):
                guard.process.kill()
                guard.process.wait()
                with reading(guard.client()):
                    assert processes.is_alive(server)
        finally:
            os.kill(server, signal.SIGKILL)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "name one server: -- CMD to start it, or --pid PID or --listen PORT if it is running"),
        (["--pid", "1", "--", "true"], "name one server"),
        (["--grace", "0s", "--", "true"], "--grace: must be more than nothing"),
        (["--max-reaps", "10%", "--", "true"], "--max-reaps: a limit is a share or a number of sessions in a minute"),
        (["--rule", "outq", "--", "true"], "--rule"),
        (["--pid", str(1 << 22)], "there is no process"),
        (["--listen", "1"], "--listen 1: no server listens on this port here"),
    ],
)
def test_bad_input_is_refused_in_one_line(arguments: list[str], says: str) -> None:
    ran = called("guard", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err
    assert ran.err.count("\n") == 1


def test_a_missing_command_has_a_shells_exit_code() -> None:
    ran = halfopen("guard", "--", "/nowhere/server")
    assert (ran.code, ran.err) == (127, "halfopen: /nowhere/server: no such file or directory\n")


def test_the_exit_code_is_the_servers() -> None:
    assert halfopen("guard", "--", "sh", "-c", "exit 7").code == 7
    assert halfopen("guard", "--", "sh", "-c", "kill -TERM $$").code == 143
