"""A forked process behaves like a started one."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from halfopen.clients._messages import Endpoint
from halfopen.netns.bug_report import ForeignError
from halfopen.netns.host import Host
from halfopen.netns.lab import Lab
from halfopen.netns.lab_errors import LabError
from halfopen.spawn import forked
from halfopen.spawn.forked import forking
from halfopen.spawn.process import Process, Program, running
from tests.harness.pod.pods import eventually
from tests.isolated import isolated
from tests.leftovers import processes_below


def endpoint(port: int) -> str:
    return msgspec.json.encode(Endpoint(url=f"ws://127.0.0.1:{port}/")).decode() + "\n"


CLIENT = [sys.executable, "-P", "-m", "halfopen.clients", "acking", "{}"]
POD = [sys.executable, "-P", "-m", "halfopen.pod", "--port", "0", "--control"]


class Lines:
    """A process's output, which tests can wait for."""

    def __init__(self) -> None:
        self._said = threading.Condition()
        self._lines: list[str] = []

    def add(self, line: str) -> None:
        with self._said:
            self._lines.append(line)
            self._said.notify_all()

    def wait_for(self, word: str) -> str:
        with self._said:
            assert self._said.wait_for(lambda: any(word in line for line in self._lines), 60), self._lines
            return next(line for line in self._lines if word in line)


@contextlib.contextmanager
def pod(host: Host) -> Iterator[tuple[Process, Lines]]:
    """Start a pod, and wait until it listens."""
    lines = Lines()
    with running(host, Program(POD), lines.add) as its:
        lines.wait_for("listening")
        yield its, lines


def parent_and_session(pid: int) -> list[int]:
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return [int(stat[1]), int(stat[3])]


def open_files(pid: int) -> list[str]:
    return sorted(os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir())


def wait_for_end(its: Process) -> int:
    # Reported a moment later, once its last output is read.
    eventually(lambda: its.exit_code is not None)
    code = its.exit_code
    assert code is not None
    return code


@isolated
def test_a_process_is_our_child_in_the_host_asked_for_in_a_session_of_its_own() -> None:
    with Lab() as lab, forking():
        host = lab.host("host")
        with pod(host) as (its, lines):
            assert parent_and_session(its.pid) == [os.getpid(), its.pid]
            port = json.loads(lines.wait_for("listening"))["port"]
            host.connect(("127.0.0.1", port), timeout=20).close()
            with pytest.raises(OSError, match=r"unreachable|refused"):
                socket.create_connection(("127.0.0.1", port), timeout=20)


@isolated
def test_it_was_forked_and_python_not_started_anew() -> None:
    with Lab() as lab, forking(), pod(lab.host("host")) as (its, _):
        assert Path(f"/proc/{its.pid}/cmdline").read_bytes() == Path("/proc/self/cmdline").read_bytes()


@isolated
def test_any_other_command_is_started_as_ever() -> None:
    with Lab() as lab, forking():
        lines = Lines()
        with running(lab.host("host"), Program(["sh", "-c", "echo here; exit 3"]), lines.add) as its:
            lines.wait_for("here")
            assert wait_for_end(its) == 3


@isolated
def test_its_exit_code_and_last_words_come_through() -> None:
    with Lab() as lab, forking():
        with running(lab.host("host"), Program([*POD, "--detector", "nonesuch"]), print) as its:
            assert wait_for_end(its) == 2
        assert "unknown detector 'nonesuch'" in its.tail()


@isolated
def test_a_client_that_has_nothing_more_to_do_ends_by_itself() -> None:
    lines = Lines()
    with Lab() as lab, forking(), running(lab.host("host"), Program(CLIENT), lines.add) as its:
        its.write(endpoint(1))  # with no server there, it says so and ends
        lines.wait_for("unreachable")
        assert wait_for_end(its) == 0


@isolated
def test_an_error_of_ours_in_the_zygote_comes_with_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forked, "_main_of", {}.__getitem__)
    with Lab() as lab, forking():
        command = running(lab.host("host"), Program(POD), print)
        with pytest.raises(ForeignError, match=r"^KeyError: 'halfopen\.pod'$") as raised:
            command.__enter__()
    assert "in _serve" in raised.value.trace


@isolated
def test_what_nobody_catches_is_told_as_python_tells_it() -> None:
    command = [*CLIENT[:-1], "{"]
    with Lab() as lab, forking():
        with running(lab.host("host"), Program(command), print) as its:
            assert wait_for_end(its) == 1
        assert its.tail().startswith("json.decoder.JSONDecodeError")


@isolated
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_signal_that_killed_it_comes_through(number: signal.Signals) -> None:
    with Lab() as lab, forking(), pod(lab.host("host")) as (its, _):
        os.kill(its.pid, number)
        assert wait_for_end(its) == -number


@isolated
def test_its_stops_are_told_to_us() -> None:
    with Lab() as lab, forking(), pod(lab.host("host")) as (its, _):
        os.kill(its.pid, signal.SIGSTOP)
        stopped = os.waitid(os.P_PID, its.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        assert stopped is not None
        assert (stopped.si_code, stopped.si_status) == (os.CLD_STOPPED, signal.SIGSTOP)
        assert its.exit_code is None


@isolated
def test_it_reads_what_is_written_to_it() -> None:
    with Lab() as lab, forking(), pod(lab.host("host")) as (its, lines):
        its.write("dance\n")
        assert json.loads(lines.wait_for("unknown_order"))["word"] == "dance"


@isolated
def test_it_holds_what_a_started_one_holds() -> None:
    def held() -> list[str]:
        with running(host, Program(CLIENT), Lines().add, keep_open=(router,)) as its:
            its.write(endpoint(port))
            session, _ = server.accept()
            # The client has sent its handshake, waits for an answer that does not come, and opens no files meanwhile.
            with session:
                assert session.recv(1)
                return [name.partition(":")[0] for name in open_files(its.pid)]

    with Lab() as lab:
        host, router = lab.host("host"), lab.router("router")
        with host.entered():
            server = socket.create_server(("127.0.0.1", 0))
        server.settimeout(60)
        with server:
            port = server.getsockname()[1]
            assert held() == ["anon_inode", "net", "pipe", "pipe", "pipe", "socket"]
            with forking():
                assert held() == ["anon_inode", "net", "pipe", "pipe", "pipe", "socket"]


@isolated
def test_a_host_that_cannot_be_entered_is_an_error() -> None:
    with Lab() as lab, forking() as forked_, Path("/dev/null").open() as none:
        host = lab.host("host")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(host, "fileno", none.fileno)
            with pytest.raises(OSError, match="Invalid argument"):
                forked_.start(host, Program(CLIENT), ())
        # The next one is unaffected.
        with pod(host):
            pass


@isolated
def test_a_zygote_that_is_gone_is_said_to_be() -> None:
    with Lab() as lab:
        host = lab.host("host")
        with forking() as forked_:
            (zygote,) = processes_below(os.getpid())
            # A running process must not keep open the pipe that reports the zygote's end.
            with pod(host):
                os.kill(zygote, signal.SIGKILL)
                os.waitid(os.P_PID, zygote, os.WEXITED | os.WNOWAIT)
                with pytest.raises(LabError, match=r"cannot start halfopen\.clients: .* ended"):
                    forked_.start(host, Program(CLIENT), ())


@isolated
def test_nothing_is_left_of_it() -> None:
    def entries() -> set[str]:
        return {entry for entry in os.listdir("/proc") if entry.isdigit()}

    def ours() -> list[str]:
        return sorted(os.listdir("/proc/self/fd"))

    with Lab() as lab:
        host = lab.host("host")
        before, held = entries(), ours()
        with forking(), pod(host):
            assert len(entries() - before) == 2  # the zygote and the pod: none between them
        assert entries() == before
        assert ours() == held
