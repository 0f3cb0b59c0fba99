"""The kernel's data about threads."""

from __future__ import annotations

import os
import socket
import threading

import pytest

from halfopen.thread_dump import ThreadsError, proc
from tests.harness.pod.pods import eventually


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
