"""Notice of a process's end, and of its output before that."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Iterator

import pytest

from halfopen.spawn.process import OnLine, Process
from tests.harness.pod.pods import eventually


@contextlib.contextmanager
def shell(script: str, on_line: OnLine = lambda _: None) -> Iterator[tuple[Process, subprocess.Popen[bytes]]]:
    pipe = subprocess.PIPE
    popen = subprocess.Popen(["sh", "-c", script], stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
    process = Process(popen, on_line)
    try:
        yield process, popen
    finally:
        process.stop()


@pytest.mark.parametrize("said", ["echo last", "printf last", "echo first; echo last"])
def test_its_end_is_told_once_its_last_line_is(said: str) -> None:
    read = threading.Event()

    def slowly(_: str) -> None:
        read.wait()

    with shell(f"{said}; exit 3", slowly) as (process, popen):
        assert popen.wait() == 3
        assert process.exit_code is None
        read.set()
        assert eventually(lambda: process.exit_code) == 3
        assert process.tail() == "last"


@pytest.mark.parametrize("left", ["sleep 600", "while :; do echo more; done"])
def test_its_end_is_told_also_where_it_left_others_behind_who_may_print(left: str) -> None:
    with shell(f"echo last; ({left}) & exit 3") as (process, _):
        assert eventually(lambda: process.exit_code) == 3
        assert {process.exit_code for _ in range(1000)} == {3}
