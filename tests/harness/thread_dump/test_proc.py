"""The threads of running processes, and the kernel's data about them."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from websockets.version import version

from halfopen import thread_dump
from halfopen.thread_dump import Dump, Thread, ThreadsError, proc, pyspy
from tests.harness.pod.pods import eventually, pod
from tests.harness.pod.test_wedge import FAST, client_that_never_reads
from tests.in_guest import in_guest
from tests.machine import needs_guest, needs_py_spy

#: Older versions of the library have no keepalive thread (docs/websockets.md).
HAS_KEEPALIVE = int(version.split(".")[0]) >= 15
WEDGED = Path(__file__).parents[2] / "fixtures" / "threads" / "wedged.py"


def own_task(thread: threading.Thread) -> proc.Task:
    (found,) = [task for task in proc.tasks(os.getpid()) if task.tid == thread.native_id]
    return found


def test_a_thread_that_waits_at_a_socket_is_told_with_its_ends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        served, _ = listener.accept()
        with client, served:
            reader = threading.Thread(target=served.recv, args=(1,))
            reader.start()
            ends = [f"127.0.0.1:{served.getsockname()[1]}", f"127.0.0.1:{client.getsockname()[1]}"]
            eventually(lambda: own_task(reader).doing == f"recvfrom on socket {ends[0]} -> {ends[1]}")
            assert own_task(reader).awaits_futex is False
            client.send(b"x")
            reader.join()


def test_a_thread_that_waits_for_a_lock_is_at_a_futex_without_a_timeout() -> None:
    lock, timed = threading.Lock(), threading.Event()
    with lock:
        waiter, timer = threading.Thread(target=lock.acquire), threading.Thread(target=timed.wait, args=(60,))
        waiter.start()
        timer.start()
        eventually(lambda: own_task(waiter).awaits_futex)
        eventually(lambda: own_task(timer).doing == "futex, for a lock or a condition")
        assert own_task(timer).awaits_futex is False
    timed.set()
    waiter.join()
    timer.join()


def test_a_thread_that_runs_may_have_waited_until_a_moment_ago() -> None:
    assert own_task(threading.current_thread()).awaits_futex is None


def test_a_process_that_is_not_there_is_told_so() -> None:
    with pytest.raises(ThreadsError, match=r"^there is no process 4194305 here$"):  # beyond the largest possible
        proc.tasks(4194305)


@pytest.mark.parametrize(
    ("told", "machine", "call"),
    [
        ("44 0x7 0x7f755c007753 0x2421 0x0 0x0 0x0 0x7f75624ef5a0 0x7f7563ccdba4", "x86_64", "sendto"),
        ("206 0x7 0x1 0x2 0x0 0x0 0x0 0x3 0x4", "aarch64", "sendto"),
        ("44 0x7 0x1 0x2 0x0 0x0 0x0 0x3 0x4", "s390x", ""),
        ("running", "x86_64", ""),
        ("-1 0x7ffd 0x7f75", "x86_64", ""),
        ("", "x86_64", None),
    ],
)
def test_calls_are_named_by_the_machines_numbers(told: str, machine: str, call: str | None) -> None:
    assert proc._call(told, machine)[0] == call


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("0100007F:1F90", "127.0.0.1:8080"),
        ("0000000000000000FFFF00000100007F:1F90", "127.0.0.1:8080"),
        ("00000000000000000000000001000000:1F90", "[::1]:8080"),
    ],
)
def test_addresses_are_read_as_this_machine_writes_them(written: str, shown: str) -> None:
    assert proc._address(written) == shown  # little-endian


def holder(dump: Dump) -> Thread | None:
    return next(
        (thread for thread in dump.threads if any(lock.name == "protocol_mutex" for lock in thread.holds)), None
    )


def waiter(dump: Dump) -> Thread | None:
    return next((thread for thread in dump.threads if thread.waits_for), None)


def _in_which_one_waits(pid: int) -> Dump | None:
    dump = thread_dump.dump(pid)
    return dump if waiter(dump) else None


def innermost(thread: Thread) -> str:
    return thread.frames[-1].source


@needs_py_spy
def test_the_two_stacks_of_the_incident() -> None:
    detector = "tests.planted.impatient_ping" if HAS_KEEPALIVE else "none"
    with pod("--detector", detector, *FAST) as server, client_that_never_reads(server.port):

        def wedged() -> Dump | None:
            dump = thread_dump.dump(server.popen.pid)
            sends = holder(dump)
            # The other thread also waits for a moment while this one still sends data that the kernel takes.
            is_stuck = sends is not None and sends.doing != "running"
            return dump if is_stuck and (waiter(dump) or not HAS_KEEPALIVE) else None

        dump: Dump = eventually(wedged)
        assert (dump.how, dump.why_not) == ("py-spy", None)
        sends = holder(dump)
        assert sends is not None
        assert innermost(sends) == "self.socket.sendall(data)"
        assert sends.doing.startswith(f"sendto on socket 127.0.0.1:{server.port} -> 127.0.0.1:")
        if HAS_KEEPALIVE:
            waits = waiter(dump)
            assert waits is not None
            assert waits.waits_for in sends.holds
            assert innermost(waits) == "with self.protocol_mutex:"
            assert any(frame.function.endswith("keepalive") for frame in waits.frames)
            heads = [line for line in thread_dump.render(dump, 120) if line.startswith("thread ")]
            assert heads[0].endswith(": in sendall, holds protocol_mutex")
            assert heads[1].endswith(f": waits for protocol_mutex, held by thread {sends.tid}")


@needs_py_spy
def test_of_a_pod_at_rest_no_lock_is_told() -> None:
    with pod("--detector", "none") as server:
        # Printing that it listens takes the lock for a moment.
        eventually(lambda: _without_locks(thread_dump.dump(server.popen.pid)))


def _without_locks(dump: Dump) -> bool:
    has_frames = any(thread.name == "MainThread" and thread.frames for thread in dump.threads)
    return has_frames and not any(thread.holds or thread.waits_for for thread in dump.threads)


@needs_py_spy
def test_a_file_that_was_changed_since_tells_of_no_lock(tmp_path: Path) -> None:
    script = tmp_path / "wedged.py"
    script.write_text(WEDGED.read_text())
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            eventually(lambda: waiter(thread_dump.dump(process.pid)))
            # The tolerance is for processes started right after a file was written.
            changed: Dump = eventually(lambda: _dumped_without_source(script, process.pid))
        finally:
            process.kill()
    assert [thread for thread in changed.threads if thread.holds or thread.waits_for] == []


def _dumped_without_source(script: Path, pid: int) -> Dump | None:
    script.touch()
    dump = thread_dump.dump(pid)
    shown = {frame.source for thread in dump.threads for frame in thread.frames if frame.file == str(script)}
    return dump if shown == {""} else None


@needs_py_spy
def test_a_process_that_stands_still_is_told_and_goes_on_standing() -> None:
    with subprocess.Popen([sys.executable, WEDGED], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            eventually(lambda: waiter(thread_dump.dump(process.pid)))
            os.kill(process.pid, signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
            stopped = thread_dump.dump(process.pid)
            assert {thread.doing for thread in thread_dump.dump(process.pid).threads} == {"stopped"}
        finally:
            process.kill()
    waits = waiter(stopped)
    assert waits is not None
    assert waits.name == "keepalive"


@needs_guest
@needs_py_spy
def test_on_the_virtual_clock_it_is_told_as_well() -> None:
    assert _heads_in_a_guest() == [
        "(sender): in sendall, holds mutex",
        "(keepalive): waits for mutex, held",
        "(MainThread): in join, holds other",
    ]


@in_guest
def _heads_in_a_guest() -> list[str]:
    with subprocess.Popen([sys.executable, WEDGED], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        dump: Dump = eventually(lambda: _in_which_one_waits(process.pid))
        process.kill()
    lines = thread_dump.render(dump, 120)
    return [re.sub(r"^thread \d+ | by thread.*|\.mutex", "", line) for line in lines if line.startswith("thread")]


def test_without_py_spy_the_kernel_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyspy, "program", lambda: None)
    with pod("--detector", "none") as server:
        dump = thread_dump.dump(server.popen.pid)
    assert dump.how == "proc"
    assert dump.why_not is not None
    assert "pip install 'halfopen[stacks]'" in dump.why_not
    assert dump.threads[0].tid == server.popen.pid
    assert not any(thread.frames for thread in dump.threads)


@needs_py_spy
def test_what_is_not_python_is_told_by_the_kernel() -> None:
    with subprocess.Popen(["sleep", "600"]) as process:
        try:
            told = eventually(lambda: [t for t in thread_dump.dump(process.pid).threads if t.name == "sleep"])
            assert thread_dump.dump(process.pid).why_not == "not a Python process; only the kernel's view is shown"
        finally:
            process.kill()
    assert [(thread.tid, thread.frames) for thread in told] == [(process.pid, ())]
