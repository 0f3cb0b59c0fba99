"""Sweeps in guests on this machine. They need a guest kernel (make kernel)."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from halfopen.errors import InputError
from halfopen.grace import store
from halfopen.grace.executor import LocalExecutor
from halfopen.grace.sweep import BatchResult
from tests import leftovers
from tests.harness.grace import sweeps
from tests.harness.grace.sweeping_process import many, resumed, told
from tests.machine import needs_guest

pytestmark = needs_guest

_STEP = 0.01
_TOOL = [sys.executable, "-m", "tests.harness.grace.sweeping_process"]


class Enough(Exception):  # noqa: N818 (not an error)
    """Stands for a Ctrl-C at a given moment."""


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the result of the sweep that is tried here in several ways."""
    return told(resumed(tmp_path_factory.mktemp("one"), LocalExecutor(1), many()))


def test_however_many_at_once_the_same_comes_of_it(tmp_path: Path, expected: bytes) -> None:
    """Three at once here. One at once makes the expected result, and the tests below continue with two."""
    assert told(resumed(tmp_path, LocalExecutor(3), many())) == expected


def test_a_sweep_that_is_left_again_and_again_leaves_nothing_and_is_resumed(tmp_path: Path, expected: bytes) -> None:
    for after in (1, 2):
        seen: list[int] = []

        def until_enough(batched: BatchResult, after: int = after, seen: list[int] = seen) -> None:
            seen.append(batched.number)
            if len(seen) == after:
                raise Enough

        before = leftovers.take_stock()
        with pytest.raises(Enough):
            resumed(tmp_path, LocalExecutor(2), many(), until_enough)
        assert leftovers.since(before) == {}
    assert told(resumed(tmp_path, LocalExecutor(2), many())) == expected


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_stopped_at_random_moments_nothing_is_left_and_it_is_resumed(
    tmp_path: Path, expected: bytes, number: signal.Signals
) -> None:
    """Stop one sweep three times: damage by the first stop still shows at the end."""
    # Folder for the files of a guest without namespaces of its own (halfopen.netns.guest.memory_dir).
    room = tmp_path / "room"
    room.mkdir()
    command = [*_TOOL, str(tmp_path / "out")]
    environment = {**os.environ, "TMPDIR": str(room)}
    for seed in (1, 5, 6):
        before = leftovers.take_stock()
        drawn = random.Random(seed)
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as tool:
            assert tool.stdout is not None
            # After so many batches, and then somewhere in the next one or two.
            for _ in range(drawn.randrange(2)):
                tool.stdout.readline()
            enough = drawn.randrange(2, 20)
            while tool.poll() is None and leftovers.count_since(before) < enough:
                time.sleep(_STEP)
            tool.send_signal(number)
        assert leftovers.since(before) == {}
        assert list(room.iterdir()) == []
    assert told(resumed(tmp_path / "out", LocalExecutor(2), many())) == expected


def test_a_terminals_interrupt_of_the_whole_group_is_heard_once(tmp_path: Path) -> None:
    before = leftovers.take_stock()
    with subprocess.Popen(
        [*_TOOL, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0
    ) as tool:
        assert tool.stdout is not None
        assert tool.stderr is not None
        tool.stdout.readline()
        os.killpg(tool.pid, signal.SIGINT)
        said = tool.stderr.read().decode()
    assert leftovers.since(before) == {}
    assert said.count("Traceback") <= 1
    with store.opened(tmp_path, many(), resume=True) as kept:
        assert kept.done


def test_what_a_batch_refuses_ends_the_sweep(tmp_path: Path) -> None:
    draws = [sweeps.outage(n, 1.0, hold=5) for n in range(2)]
    broken = sweeps.sweep([type(one)(one.number, one.part, one.cause, one.name, "nonsense") for one in draws])
    assert broken.batches()
    with pytest.raises(InputError, match="0000-outage-1s"):
        resumed(tmp_path, LocalExecutor(2), broken)
