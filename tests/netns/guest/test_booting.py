from __future__ import annotations

import os
import subprocess
import sys

from halfopen.netns.guest.booting import _processor_times, busiest, command_line

# As the kernel writes it: sixteen random bytes, the platform, the arguments, the environment, the program's name.
TOP = b"\x07" * 16 + b"x86_64\0perl\0-e\0while(1) {}\0HOME=/\0A=x y\0/usr/bin/perl\0" + bytes(8)


def test_a_command_is_read_off_its_stack() -> None:
    assert command_line(TOP) == "perl -e 'while(1) {}'"


def test_without_its_arguments_it_is_the_program() -> None:
    assert command_line(TOP.partition(b"HOME")[2]) == "/usr/bin/perl"


def test_what_is_no_stack_is_nobody() -> None:
    assert command_line(b"") is None
    assert command_line(bytes(100)) is None
    assert command_line(b"\xff" * 100) is None


def test_a_process_that_is_no_guest_has_no_name() -> None:
    # Its children run, but their memory is their own.
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as child:
        try:
            assert child.pid in _processor_times(os.getpid())
            assert busiest(os.getpid()) is None
        finally:
            child.kill()
