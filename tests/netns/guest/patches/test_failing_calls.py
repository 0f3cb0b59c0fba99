"""System calls that fail take no virtual time, but a loop that waits for one to succeed comes to its end."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from halfopen.netns.guest.patches.failing_calls import EDITS, take_no_time
from tests.in_guest import in_guest
from tests.machine import needs_guest

#: Tabs and spaces, as the kernel mixes them.
INDENT = "\t\t     "
SYSCALL = f"""\
#include <asm/delay.h>

void handle_syscall(struct uml_pt_regs *r)
{{
	ret = call();
		if (IS_ERR_VALUE(ret) && (time_travel_mode == TT_MODE_INFCPU ||
{INDENT}time_travel_mode == TT_MODE_EXTERNAL)) {{
			um_udelay(1);
			schedule();
		}}
}}
"""
#: Nanoseconds of virtual time that a reading of the clock takes (arch/um/kernel/time.c).
READING = 256


@in_guest
def failing(times: int) -> int:
    """Return the nanoseconds that so many failing calls take, and two readings of the clock."""
    before = time.monotonic_ns()
    for _ in range(times):
        os.access("/no/such/file", os.F_OK)
    return time.monotonic_ns() - before


@in_guest
def waiting(seconds: float) -> float:
    """Return the seconds that a loop without a pause waits for a file that is created after ``seconds``."""
    file = Path("/tmp/there")
    before = time.monotonic()
    with subprocess.Popen(["/bin/sh", "-c", f"sleep {seconds}; touch {file}"]):
        while not os.access(file, os.F_OK):
            pass
    return time.monotonic() - before


@needs_guest
def test_a_failing_call_takes_no_time() -> None:
    assert failing(1000) <= 2 * READING


@needs_guest
def test_a_loop_around_a_failing_call_comes_to_its_end() -> None:
    assert 0.05 <= waiting(0.05) < 0.1


def test_only_calls_that_fail_in_a_loop_wait(tmp_path: Path) -> None:
    file = tmp_path / EDITS[0].file
    file.parent.mkdir(parents=True)
    file.write_text(SYSCALL)
    assert take_no_time(tmp_path)
    text = file.read_text()
    assert text.index("static bool fails_in_a_loop(void)") < text.index("void handle_syscall(")
    assert "TT_MODE_EXTERNAL) && fails_in_a_loop()) {\n\t\t\tum_udelay(1);\n\t\t\tschedule();" in text


def test_a_source_that_is_another_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / EDITS[0].file
    file.parent.mkdir(parents=True)
    file.write_text(SYSCALL.replace("um_udelay(1)", "udelay(2)"))
    assert not take_no_time(tmp_path)
    assert "fails_in_a_loop" not in file.read_text()
