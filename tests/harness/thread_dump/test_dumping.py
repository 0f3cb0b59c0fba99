"""The threads of running processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from websockets.version import version

from halfopen import thread_dump
from halfopen.thread_dump import Dump, Thread, pyspy
from tests.harness.pod.pods import eventually, pod
from tests.harness.pod.test_wedge import FAST, client_that_never_reads
from tests.in_guest import in_guest
from tests.machine import needs_guest, needs_py_spy

#: Older versions of the library have no keepalive thread (docs/websockets.md).
HAS_KEEPALIVE = int(version.split(".")[0]) >= 15
WEDGED = Path(__file__).parents[2] / "fixtures" / "threads" / "wedged.py"


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
