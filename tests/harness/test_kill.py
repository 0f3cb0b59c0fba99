"""However the tool ends, nothing of the lab stays: the kernel takes it down, not our clean-up code."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from halfopen.netns.capabilities import read_file
from tests import leftovers
from tests.harness.cli.tool import HALFOPEN
from tests.machine import UNPRIVILEGED, needs_labs, needs_unshare

pytestmark = [needs_labs, pytest.mark.alone]

PATIENCE = 60.0
#: After about a second a run has its servers up and its clients streaming. Runs are killed before, during and after
#: that.
LATEST = 3.0
INSTANTS = 20


def start(out: Path, under: list[str] | None = None) -> subprocess.Popen[bytes]:
    command = [*(under or []), *HALFOPEN, "run", "frozen", "active", "--grace", "5s", "--out", str(out)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_until_streaming(tool: subprocess.Popen[bytes]) -> None:
    """Wait until the processes of two servers and two clients exist. The clients start last."""
    deadline = time.monotonic() + PATIENCE
    while sum("halfopen.clients" in command_of(pid) for pid in leftovers.processes_below(tool.pid)) < 2:
        assert time.monotonic() < deadline
        assert tool.poll() is None
        time.sleep(0.02)


def command_of(pid: int) -> str:
    return (read_file(f"/proc/{pid}/cmdline") or "").replace("\0", " ")


def assert_nothing_is_left(before: leftovers.Stock, namespaces: int | None) -> None:
    assert not leftovers.since(before)
    deadline = time.monotonic() + PATIENCE
    while namespaces is not None and (leftovers.network_namespaces() or 0) > namespaces:
        assert time.monotonic() < deadline, (
            "a network namespace without a process stays in the kernel, or another lab runs on this machine"
        )
        time.sleep(0.05)


@pytest.mark.parametrize("under", [[], pytest.param(UNPRIVILEGED, marks=needs_unshare)], ids=["root", "unprivileged"])
def test_a_kill_at_any_instant_leaves_nothing(tmp_path: Path, under: list[str]) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    instants = random.Random(seed)
    before, namespaces = leftovers.take_stock_of_the_machine(), leftovers.network_namespaces()
    for _ in range(INSTANTS // 2):
        tool = start(tmp_path, under)
        time.sleep(instants.uniform(0, LATEST))  # an instant, not a wait for anything
        tool.kill()
        tool.wait()
        assert_nothing_is_left(before, namespaces)


def test_a_kill_with_bytes_stuck_leaves_nothing(tmp_path: Path) -> None:
    before, namespaces = leftovers.take_stock_of_the_machine(), leftovers.network_namespaces()
    tool = start(tmp_path)
    wait_until_streaming(tool)
    # One client freezes after 5 s. Data sent to it after that is stuck in the server's namespace.
    frozen = leftovers.wait_for_a_stopped_process(tool.pid, PATIENCE)
    assert frozen
    tool.kill()
    tool.wait()
    assert_nothing_is_left(before, namespaces)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_at_once_and_leaves_nothing(tmp_path: Path, number: int) -> None:
    before, namespaces = leftovers.take_stock_of_the_machine(), leftovers.network_namespaces()
    tool = start(tmp_path)
    wait_until_streaming(tool)
    os.kill(tool.pid, number)
    assert tool.wait(PATIENCE) == (130 if number == signal.SIGINT else 128 + number)
    assert_nothing_is_left(before, namespaces)
