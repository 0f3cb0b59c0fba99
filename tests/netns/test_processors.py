"""Processors that may be used, and those that were idle, from the kernel's counts."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from halfopen.netns.processors import Processors

TICKS = os.sysconf("SC_CLK_TCK")


class Machine:
    """A /proc and a control group with counts of our own, and a clock."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.proc, self.group, self.now = place / "proc", place / "group", 100.0
        self.proc.mkdir()
        self.group.mkdir()
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 2})
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        self.idle({0: 0.0, 1: 0.0, 2: 0.0})

    def idle(self, seconds: dict[int, float], waiting: float = 0.0) -> None:
        """Write the idle time of each processor; ``waiting`` for a disk besides."""
        lines = [
            f"cpu{n} 1 2 3 {round(idle * TICKS)} {round(waiting * TICKS)} 0 0 0 0 0" for n, idle in seconds.items()
        ]
        (self.proc / "stat").write_text("\n".join(["cpu  1 2 3 999 0 0 0 0 0 0", *lines, "intr 7 0", "ctxt 9"]))

    def used(self, seconds: float, quota: str) -> None:
        """Write the limit of the control group, and what it has used."""
        (self.group / "cpu.max").write_text(quota)
        (self.group / "cpu.stat").write_text(f"usage_usec {round(seconds * 1e6)}\nuser_usec 5\n")

    def processors(self) -> Processors:
        return Processors(self.proc, self.group)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_only_processors_that_may_be_used_count(machine: Machine) -> None:
    processors = machine.processors()
    machine.now += 2
    machine.idle({0: 0.5, 1: 2.0, 2: 0.5})
    assert processors.count == 2
    assert processors.idle() == 0.5


def test_a_processor_that_waits_for_a_disk_is_idle(machine: Machine) -> None:
    processors = machine.processors()
    machine.now += 2
    machine.idle({0: 0.5, 1: 0.0, 2: 0.5}, waiting=0.5)
    assert processors.idle() == 1.0


def test_each_call_counts_from_the_last_one(machine: Machine) -> None:
    processors = machine.processors()
    machine.now += 1
    machine.idle({0: 1.0, 1: 0.0, 2: 1.0})
    assert processors.idle() == 2.0
    assert processors.idle() == 0.0
    machine.now += 1
    assert processors.idle() == 0.0


@pytest.mark.parametrize(("quota", "count"), [("150000 100000", 2), ("20000 100000", 1), ("900000 100000", 2)])
def test_a_container_has_the_processors_of_its_quota(machine: Machine, quota: str, count: int) -> None:
    machine.used(0, quota)
    assert machine.processors().count == count


def test_a_container_that_uses_its_quota_has_no_idle_processor_whatever_the_machine_has(machine: Machine) -> None:
    machine.used(10, "150000 100000")
    processors = machine.processors()
    machine.now += 2
    machine.idle({0: 2.0, 1: 2.0, 2: 2.0})
    machine.used(13, "150000 100000")
    assert processors.idle() == pytest.approx(0.0)
    machine.now += 2
    machine.used(14, "150000 100000")
    assert processors.idle() == pytest.approx(1.0)


def test_without_a_limit_the_machine_counts(machine: Machine) -> None:
    machine.used(10, "max 100000")
    processors = machine.processors()
    machine.now += 1
    machine.idle({0: 1.0, 1: 0.0, 2: 0.5})
    assert (processors.count, processors.idle()) == (2, 1.5)
