"""``halfopen watch`` as a user runs it, on running servers: compared with ss(8), on every counter."""

from __future__ import annotations

import contextlib
import datetime
import json
import math
import os
import pty
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from halfopen.netns.exit_codes import ExitCode
from halfopen.netns.host import Host
from halfopen.netns.lab import Lab
from tests.harness.cli.tool import HALFOPEN, Ran, halfopen
from tests.harness.cli.understood import calls, understand
from tests.harness.watch import own, prefork
from tests.isolated import isolated
from tests.machine import UNPRIVILEGED, needs_labs, needs_unshare
from tests.netns.network import PORT, address_of, eventually, listen, stall

MANY = 1000
GRACE = "2s"
#: Enough connections for each of two listeners to get some, except once in two thousand million times.
SHARED = 32
SERVE = [sys.executable, own.__file__, "serve"]
PLAIN = {**os.environ, "NO_COLOR": "1", "TERM": "xterm-256color"}


@contextlib.contextmanager
def sessions(host: Host, count: int) -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    """Open connections of a host to itself. Yield pairs of the client's end and the server's."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    with contextlib.ExitStack() as stack, listen(host, "127.0.0.1") as listener:
        made = []
        for number in range(count):
            client = stack.enter_context(host.connect(("127.0.0.1", PORT), timeout=20))
            server = stack.enter_context(listener.accept()[0])
            server.setblocking(False)
            server.send(bytes(100 + number))
            client.setblocking(True)
            assert client.recv(100 + number, socket.MSG_WAITALL)
            made.append((client, server))
        yield made


def watched(host: Host, *options: str) -> Ran:
    with host.entered():
        return halfopen("watch", *options)


@contextlib.contextmanager
def watching(host: Host, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Run ``halfopen watch`` in the host until the context is left."""
    with host.entered():
        process = subprocess.Popen([*HALFOPEN, "watch", *options], stdout=subprocess.PIPE, text=True)
    with process:
        try:
            yield process
        finally:
            process.kill()


def interrupted(process: subprocess.Popen[str]) -> int:
    """Press Ctrl-C and return the exit code."""
    process.send_signal(signal.SIGINT)
    return process.wait()


def data(ran: Ran) -> dict[str, Any]:
    assert ran.err == ""
    found: dict[str, Any] = json.loads(ran.out)
    return found


def shown_by_ss(host: Host) -> dict[str, str]:
    """Return ss's line for each session, by the client's address."""
    with host.entered():
        command = ["ss", "-tinoHO", "sport", "=", f":{PORT}"]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return {line.split()[4]: line for line in lines}


#: Our name, ss's name, and ss's unit in the kernel's. ss leaves out zeros.
COUNTERS = {
    "bytes_acked": ("bytes_acked", 1), "bytes_sent": ("bytes_sent", 1), "bytes_received": ("bytes_received", 1),
    "bytes_retrans": ("bytes_retrans", 1), "unacked": ("unacked", 1), "notsent": ("notsent", 1),
    "delivered": ("delivered", 1), "snd_wnd": ("snd_wnd", 1), "backoff": ("backoff", 1), "rto": ("rto", 1000),
    "rwnd_limited": ("rwnd_limited", 1000),
}  # fmt: skip
#: The kernel's clocks in milliseconds. Ours is at least ss's reading before it, and at most the one after.
CLOCKS = {"last_ack_recv": "lastack", "last_data_sent": "lastsnd", "last_data_recv": "lastrcv"}


def by_ss(line: str, name: str) -> float:
    found = re.search(rf"\b{name}:([0-9.]+)", line)
    return float(found.group(1)) if found else 0.0


def disagreements(session: dict[str, Any], before: str, after: str) -> list[str]:
    """Return the differences between ss's earlier reading, ours, and ss's later one. Nothing moved meanwhile."""
    state, rqueue, outq = before.split(maxsplit=1)[0], *map(int, before.split()[1:3])
    wrong = [] if (session["rqueue"], session["outq"]) == (rqueue, outq) else ["queues"]
    wrong += [] if state.replace("ESTAB", "ESTABLISHED") == session["state"] else ["state"]
    for ours, (name, unit) in COUNTERS.items():
        low, high = by_ss(before, name) * unit, by_ss(after, name) * unit
        if not low - unit < session[ours] < high + unit:
            wrong.append(f"{ours}: {low:g}, {session[ours]}, {high:g}")
    for ours, name in CLOCKS.items():
        if not by_ss(before, name) <= session[ours] <= by_ss(after, name):
            wrong.append(ours)
    retrans = re.search(r"\bretrans:(\d+)/(\d+)", before)
    if session["total_retrans"] != (int(retrans.group(2)) if retrans else 0):
        wrong.append("total_retrans")
    rtt = re.search(r"\brtt:([0-9.]+)/([0-9.]+)", before)
    if rtt and [float(text) * 1000 for text in rtt.groups()] != pytest.approx(
        [session["rtt"], session["rttvar"]], abs=1
    ):
        wrong.append("rtt")
    return wrong


@needs_labs
@pytest.mark.skipif(not shutil.which("ss"), reason="ss (iproute2) is not installed")
@isolated
def test_a_thousand_sessions_agree_with_ss_on_every_counter_and_the_frozen_one_is_found() -> None:
    with Lab() as lab:
        host = lab.host("host")
        with sessions(host, MANY) as made:
            frozen = made[MANY // 2]
            stall(frozen[1])
            options = ("--once", "--json", "--listen", str(PORT), "--grace", GRACE)
            eventually(lambda: watched(host, *options).code == ExitCode.FAILED, "a session is stuck for the grace")
            before = shown_by_ss(host)
            ran = watched(host, *options)
            after = shown_by_ss(host)

            found = data(ran)
            assert ran.code == ExitCode.FAILED
            assert (found["sessions_open"], found["sessions_queued"], found["sessions_stuck"]) == (MANY, 1, 1)
            assert [one["remote"] for one in found["sessions"] if one["outq"]] == [str(address_of(frozen[0]))]
            by_client = {one["remote"]: one for one in found["sessions"]}
            assert by_client.keys() == before.keys() == after.keys()
            # The closed window is probed now and then, and the probe is answered.
            still = by_client.keys() - {str(address_of(frozen[0]))}
            wrong = {one: disagreements(by_client[one], before[one], after[one]) for one in still}
            assert {one: what for one, what in wrong.items() if what} == {}
            stuck = by_client[str(address_of(frozen[0]))]
            assert (stuck["outq"], stuck["peer"]) == (int(before[stuck["remote"]].split()[2]), "shut, answers")
            assert stuck["stuck_is_a_bound"]
            assert stuck["stuck_s"] >= 2
            assert stuck["verdicts"].keys() == {"bytes-acked", "halfopen", "outq", "tcp-user-timeout"}
            assert stuck["verdicts"]["bytes-acked"]["within_s"] <= 0


@needs_labs
@isolated
def test_a_session_that_moves_is_never_called_stuck_however_much_is_queued() -> None:
    """Its client reads a little at every sample; another reads nothing."""
    with Lab() as lab:
        host = lab.host("host")
        with sessions(host, 2) as made:
            (slow, its_server), (frozen, _) = made
            for pair in made:
                stall(pair[1])
            options = ("--json", "--queued", "--listen", str(PORT), "--interval", "50ms", "--grace", GRACE)
            with watching(host, *options) as process:
                assert process.stdout is not None
                drawn: list[float] = []
                for text in process.stdout:
                    look = json.loads(text)
                    found = {one["remote"]: one["stuck_s"] for one in look["sessions"]}
                    # A delayed test does not read. Then the session really has not moved for so long.
                    at = datetime.datetime.fromisoformat(look["at"]).timestamp()
                    undrawn = at - max((moment for moment in drawn if moment < at), default=-math.inf)
                    assert found.get(str(address_of(slow)), 0) < 2 + undrawn
                    if undrawn < 2 <= found[str(address_of(frozen))]:
                        assert look["sessions_stuck"] >= 1
                        break
                    if draw(slow):
                        drawn.append(time.time())
                    with contextlib.suppress(BlockingIOError):
                        its_server.send(bytes(1 << 20))
                assert interrupted(process) == ExitCode.FAILED


def draw(client: socket.socket) -> int:
    """Read everything that the client's kernel holds, so that the window opens at once. Return the number of bytes."""
    client.setblocking(False)
    count = 0
    with contextlib.suppress(BlockingIOError):
        while more := client.recv(1 << 16):
            count += len(more)
    return count


@pytest.mark.parametrize("where", ["inside", "outside"])
@needs_labs
@needs_unshare
def test_nothing_is_needed_to_watch_processes_of_ones_own(where: str) -> None:
    ran = subprocess.run(
        [*UNPRIVILEGED, sys.executable, own.__file__, where], capture_output=True, text=True, check=False
    )
    found = data(Ran(ran.returncode, ran.stdout, ran.stderr))
    assert ran.returncode == ExitCode.PASSED
    (session,) = found["sessions"]
    assert session["outq"] > 0
    assert session["pid"] == found["watched"]["pid"]


@contextlib.contextmanager
def forking_server() -> Iterator[tuple[int, int, list[int]]]:
    """Run a pre-fork server. Yield its id, its port and its children's ids."""
    command = [sys.executable, prefork.__file__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        port, *children = map(int, server.stdout.readline().split())
        yield server.pid, port, children
        server.stdin.close()


def test_the_sessions_of_a_servers_children_are_its_own_and_a_child_has_only_its_own() -> None:
    with forking_server() as (pid, port, children), contextlib.ExitStack() as stack:
        count = 6
        clients = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(count)]

        def whole(*options: str) -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = data(halfopen("watch", "--once", "--json", *options))["sessions"]
            return found

        eventually(lambda: all(one["pid"] for one in whole("--pid", str(pid))), "every connection was taken")
        of_all = whole("--pid", str(pid))
        assert {one["remote"] for one in of_all} == {str(address_of(client)) for client in clients}
        for child in children:
            its = {one["remote"] for one in of_all if one["pid"] == child}
            assert {one["remote"] for one in whole("--pid", str(child), "--listen", str(port))} == its


def test_of_two_servers_that_share_a_port_each_has_its_own_sessions() -> None:
    """They share it by SO_REUSEPORT, as two instances of one server do."""
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(socket.create_server(("127.0.0.1", 0), reuse_port=True))
        port = ours.getsockname()[1]
        script = f"import socket, sys; s = socket.create_server(('127.0.0.1', {port}), reuse_port=True)\n"
        script += "print(flush=True); held = []\nwhile True: held.append(s.accept())"
        other = stack.enter_context(subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE))
        stack.callback(other.kill)
        assert other.stdout is not None
        other.stdout.readline()
        clients = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(SHARED)]
        ours.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                stack.enter_context(ours.accept()[0])

        def seen(*options: str) -> set[str]:
            told = data(halfopen("watch", "--once", "--json", *options))
            return {one["remote"] for one in told["sessions"]}

        everybody = {str(address_of(client)) for client in clients}
        assert seen("--listen", str(port)) == everybody
        of_other = ("--pid", str(other.pid))
        eventually(lambda: bool(seen(*of_other)), "the other has taken a connection")
        # This process, the parent of the other, also made the connections that the other accepted.
        assert seen(*of_other) < everybody


def test_a_process_that_ends_ends_the_watch() -> None:
    with subprocess.Popen(SERVE, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdout.readline()
        command = [*HALFOPEN, "watch", "--json", "--interval", "50ms", "--pid", str(server.pid)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            server.stdin.close()
            # Read to the end: a command whose output nobody reads blocks, and does not sample again.
            _, said = process.communicate()
    assert said == f"halfopen: process {server.pid} has ended\n"
    assert process.returncode == ExitCode.PASSED


@needs_labs
@isolated
def test_a_process_in_another_network_is_found_there() -> None:
    with Lab() as lab:
        host = lab.host("host")
        with host.entered():
            server = subprocess.Popen(
                [sys.executable, own.__file__, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        with server:
            assert server.stdout is not None
            server.stdout.readline()
            (session,) = data(halfopen("watch", "--once", "--json", "--pid", str(server.pid)))["sessions"]
            assert session["pid"] == server.pid


def test_a_connection_that_a_process_made_is_no_session_unless_asked_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
        me = ("--once", "--json", "--pid", str(os.getpid()))
        assert data(halfopen("watch", *me))["sessions_open"] == 1
        of_all = data(halfopen("watch", *me, "--all"))["sessions"]
        assert str(listener.getsockname()[1]) in {one["remote"].rpartition(":")[2] for one in of_all}


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ([], "halfopen: no server is named; add --pid PID or --listen PORT\n"),
        (["--all", "--listen", "1"], "halfopen: --all: needs a process; add --pid PID\n"),
        (["--pid", "4194304"], "halfopen: there is no process 4194304\n"),
        (
            ["--listen", "1", "--detector", "outk"],
            "halfopen: unknown detector 'outk'; did you mean 'outq'?\n",
        ),
        (
            ["--listen", "1", "--detector", "none"],
            (
                "halfopen: --detector 'none': its verdicts cannot be seen from outside; "
                "choose from bytes-acked, halfopen, outq, tcp-user-timeout\n"
            ),
        ),
        (
            ["--listen", "1", "--once", "--for", "1s"],
            "halfopen: --once and --for cannot be used together; leave one out\n",
        ),
        (
            ["--listen", "1", "--grace", "30"],
            "halfopen: --grace: a duration needs a unit: got '30', write \"30s\"\n",
        ),
    ],
)  # fmt: skip
def test_a_wrong_call_is_one_line(options: list[str], complaint: str) -> None:
    assert halfopen("watch", *options) == Ran(2, "", complaint)


@needs_labs
@isolated
def test_a_port_on_which_nobody_listens_is_told_with_those_that_there_are() -> None:
    with Lab() as lab:
        host = lab.host("host")
        assert (
            "--listen 5090: no server listens on this port, and it has no connections; no server listens here"
            in watched(host, "--listen", str(PORT)).err
        )
        with listen(host, port=PORT + 1):
            ran = watched(host, "--listen", str(PORT))
            assert (ran.code, ran.out) == (2, "")
            assert f"servers listen on {PORT + 1}; for a server in a container use --pid" in ran.err


def test_a_process_that_listens_nowhere_is_told_so() -> None:
    with subprocess.Popen(["sleep", "60"]) as idle:
        ran = halfopen("watch", "--pid", str(idle.pid))
        idle.kill()
    assert ran.code == 2
    assert f"--pid {idle.pid}: sleep and the processes below it listen on no TCP port" in ran.err


@needs_labs
@isolated
def test_off_a_terminal_a_stall_is_a_line_when_it_comes_and_when_it_is_over() -> None:
    with Lab() as lab:
        host = lab.host("host")
        with sessions(host, 1) as made:
            ((client, server),) = made
            with watching(host, "--listen", str(PORT), "--grace", GRACE, "--interval", "50ms") as process:
                assert process.stdout is not None
                assert ": 1 session, " in process.stdout.readline()
                stall(server)
                assert re.match(
                    rf"\d\d:\d\d:\d\d stuck: {address_of(client)}.*: nothing acknowledged for ",
                    process.stdout.readline(),
                )
                where = address_of(client)
                client.close()
                assert f" no longer stuck: {where} " in process.stdout.readline()
                assert interrupted(process) == ExitCode.PASSED


def test_it_starts_without_the_lab_and_its_libraries() -> None:
    """Health probes call it every few seconds."""
    script = "import sys, halfopen.cli.watch; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    ours = {"halfopen.run.runner", "halfopen.netns.lab"}
    assert not {"pyroute2", "websockets", "docker", "jinja2", "trustme", *ours} & set(loaded)


def test_documented_calls_are_understood_and_every_key_is_documented(repository: Path) -> None:
    text = (repository / "docs" / "watch.md").read_text()
    found = [words for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for words in calls(block)]
    assert len(found) == 4
    probe = re.search(r"command: \[halfopen, (.*)\]", text)
    assert probe
    for words in [*found, [word.strip('"') for word in probe.group(1).split(", ")]]:
        understand(words)
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
        seen = data(halfopen("watch", "--once", "--json", "--pid", str(os.getpid())))
    (session,) = seen["sessions"]
    verdict = session["verdicts"]["bytes-acked"]
    for key in (*seen, *session, *verdict):
        assert f"`{key}`" in text, key


@needs_labs
@isolated
def test_on_a_terminal_the_table_is_live_and_the_last_look_stays() -> None:
    with Lab() as lab:
        host = lab.host("host")
        with sessions(host, 1) as made:
            ((client, server),) = made
            stall(server)
            ours, its = pty.openpty()
            termios.tcsetwinsize(its, (24, 80))
            with host.entered():
                command = [*HALFOPEN, "watch", "--listen", str(PORT), "--for", "200ms", "--interval", "50ms"]
                code = subprocess.run(command, stdout=its, stderr=its, check=False, env=PLAIN).returncode
            os.close(its)
            shown = os.read(ours, 1 << 16).decode()
            os.close(ours)
            assert code == ExitCode.PASSED
            assert shown.count(str(address_of(client))) >= 2
            assert shown.count("\x1b[?25l") == 1  # the cursor is hidden while the table lives
            assert "\x1b[?25h" in shown
            assert "\x1b[3" not in shown  # no colours
