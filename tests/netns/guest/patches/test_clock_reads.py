"""The clock as a guest's programs read it, in a page kept by the kernel or by a system call: the same time."""

from __future__ import annotations

import ctypes
import time
from itertools import pairwise
from pathlib import Path

import pytest

from halfopen.netns.guest.patches.clock_reads import EDITS, read_without_calls
from tests.in_guest import in_guest
from tests.machine import needs_guest

#: clock_gettime(2), arch/x86/entry/syscalls/syscall_64.tbl
CLOCK_GETTIME = 228
#: Nanoseconds of virtual time that a reading takes (arch/um/kernel/time.c).
READING = 256
#: More readings than the kernel allows a process without a system call.
MANY = 1000


class Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


def asked(clock: int) -> int:
    """Return the time in nanoseconds by a system call."""
    now = Timespec()
    assert ctypes.CDLL(None).syscall(CLOCK_GETTIME, clock, ctypes.byref(now)) == 0
    return int(now.seconds * 1_000_000_000 + now.nanoseconds)


@in_guest
def in_turn(clock: int) -> list[int]:
    """Return readings by the C library and by a system call, in turn."""
    return [read(clock) for _ in range(MANY) for read in (time.clock_gettime_ns, asked)]


@in_guest
def in_a_row(clock: int) -> list[int]:
    """Return readings by the C library alone."""
    return [time.clock_gettime_ns(clock) for _ in range(MANY)]


@in_guest
def busily(seconds: float) -> float:
    """Return the seconds by which a loop that only reads the clock overruns its end."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass
    return time.monotonic() - until


@needs_guest
@pytest.mark.parametrize("clock", [time.CLOCK_MONOTONIC, time.CLOCK_REALTIME])
def test_a_reading_and_a_system_call_tell_the_same_time(clock: int) -> None:
    assert all(before < after for before, after in pairwise(in_turn(clock)))


@needs_guest
@pytest.mark.parametrize("clock", [time.CLOCK_MONOTONIC, time.CLOCK_REALTIME])
def test_each_reading_takes_time_and_none_is_skipped(clock: int) -> None:
    steps = [after - before for before, after in pairwise(in_a_row(clock))]
    assert min(steps) >= READING - 1  # the kernel corrects its clock by a nanosecond now and then
    assert sorted(steps)[MANY // 2] <= READING + 1


@needs_guest
def test_a_loop_that_only_reads_the_clock_comes_to_its_end() -> None:
    assert 0 <= busily(0.01) < 0.001


def test_a_source_that_is_another_stays_as_it_is(tmp_path: Path) -> None:
    for edit in EDITS:
        (tmp_path / edit.file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / edit.file).write_text("")
    assert not read_without_calls(tmp_path)
    assert all((tmp_path / edit.file).read_text() == "" for edit in EDITS)
