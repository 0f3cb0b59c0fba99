"""Processes that a server's command leaves behind end with its run, however they got away, on both clocks."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import time
from pathlib import Path

import pytest

from halfopen.model.journal import Journal
from halfopen.netns.lab import Lab
from halfopen.scenario.target_spec import TargetSpec
from halfopen.targets.base import Site
from halfopen.targets.command import CommandTarget
from tests.harness.targets import leaving
from tests.in_guest import in_guest
from tests.isolated import isolated
from tests.machine import needs_guest

PORT = 7000
#: Seconds of the lab's clock.
ENDS_WITHIN = 5.0


def alive() -> int:
    """Return the number of processes of servers of this test."""
    return sum(map(_is_a_servers, filter(str.isdigit, os.listdir("/proc"))))


def _is_a_servers(pid: str) -> bool:
    """True unless it is a zombie; an ended thread, such as the main one, has no command any more."""
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                if leaving.__file__ in Path(f"/proc/{pid}/task/{thread}/cmdline").read_text():
                    return True
    return False


def torn_down(way: str) -> tuple[int, float, int]:
    """Return how many processes a server had, how many seconds its end took, and how many were left."""
    with Lab() as lab:
        target = CommandTarget(TargetSpec(server=f"{sys.executable} {leaving.__file__} {way} {{port}}"))
        site = Site(lab.host("server"), "127.0.0.1", PORT, Journal(), ready_within=60)
        with target.start(site):
            before = alive()
            begun = time.monotonic()
        return before, time.monotonic() - begun, alive()


@pytest.mark.parametrize("way", leaving.WAYS)
@isolated
def test_nothing_is_left_on_the_real_clock(way: str) -> None:
    before, seconds, left = torn_down(way)
    assert before >= 2
    assert left == 0
    assert seconds < ENDS_WITHIN


@in_guest
def each_torn_down() -> dict[str, tuple[int, float, int]]:
    return {way: torn_down(way) for way in leaving.WAYS}


@functools.cache
def in_one_guest() -> dict[str, tuple[int, float, int]]:
    return each_torn_down()


@needs_guest
@pytest.mark.parametrize("way", leaving.WAYS)
def test_nothing_is_left_on_the_virtual_clock(way: str) -> None:
    before, seconds, left = in_one_guest()[way]
    assert before >= 2
    assert left == 0
    assert seconds < ENDS_WITHIN
