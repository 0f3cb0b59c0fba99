"""harness.process: what a process prints is read while other things go on."""

from __future__ import annotations

import os
import time

from harness.process import Program, running
from netns.lab import Lab
from tests.isolated import isolated
from tests.machine import needs_labs

pytestmark = needs_labs


@isolated
def test_the_last_words_of_a_process_that_has_ended_are_its_last_however_slowly_they_are_read() -> None:
    with (
        Lab() as lab,
        running(lab.host("host"), Program(["sh", "-c", "echo first; echo last"]), lambda _: time.sleep(0.3)) as its,
    ):
        os.waitid(os.P_PID, its.pid, os.WEXITED | os.WNOWAIT)
        assert its.tail() == "last"


@isolated
def test_a_process_that_runs_on_is_not_waited_for() -> None:
    with Lab() as lab, running(lab.host("host"), Program(["sleep", "1000"]), print) as its:
        assert its.tail() == ""
