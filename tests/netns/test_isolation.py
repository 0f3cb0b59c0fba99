"""Namespaces of our own: what comes through them, and that nothing stays when they end, however they end."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from netns import isolation
from tests.isolated import isolated
from tests.machine import needs_labs

pytestmark = needs_labs


@pytest.mark.parametrize("code", [0, 1, 3, 130])
def test_the_exit_code_comes_through(code: int) -> None:
    assert isolation.run(lambda: code) == code


def test_a_worker_killed_by_a_signal_is_told_like_a_shell_does() -> None:
    def die() -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    assert isolation.run(die) == 128 + signal.SIGKILL


@isolated
def test_inside_we_are_root_and_alone() -> None:
    assert os.geteuid() == 0
    assert sorted(int(p) for p in os.listdir("/proc") if p.isdigit()) == [1, os.getpid()]
    assert Path("/proc/net/dev").read_text().count(":") == 1  # lo and nobody else
