"""Messages of a module in a guest, and the end of either."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from halfopen.netns.bug_report import ForeignError
from halfopen.netns.guest import script
from halfopen.netns.guest.cache import GuestKernel
from halfopen.netns.guest.machine import Machine
from halfopen.netns.guest.script import Boot
from halfopen.netns.lab_errors import GuestLostError
from halfopen.spawn.guest_peer import GuestPeer
from halfopen.spawn.peers import PeerUp, Refused

REFUSED = b'{"type":"refused","why":"no"}\n'


class Guest:
    """Stands for a guest: the ends of its output and of its line to the machine outside."""

    def __init__(self, folder: Path) -> None:
        heard, self.line = os.pipe()
        output, self.output = os.pipe()
        (folder / "log").write_text("Kernel panic - not syncing: oops\n")
        with subprocess.Popen(["true"]) as process:
            machine = Machine(process, folder / "log", heard, -1)
        boot = Boot(GuestKernel(Path("linux"), "6.12.1", "a tarball"), [], wall_limit=5, virtual=False)
        self.peer = GuestPeer(machine, folder, None, boot, PeerUp | Refused, output)

    def exit(self, code: int) -> None:
        os.write(self.line, f"{script.LISTENING}\n{script.EXIT} {code}\n".encode())

    def receive(self, within: float = 60.0) -> PeerUp | Refused | None:
        message: PeerUp | Refused | None = self.peer.receive(time.monotonic() + within)
        return message


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[Guest]:
    guest = Guest(tmp_path)
    yield guest
    for fd in (guest.peer.machine.from_guest, guest.peer._output):
        os.close(fd)


def test_messages_come_before_the_end_that_was_said_after_them(guest: Guest) -> None:
    os.write(guest.output, REFUSED[:9])
    os.write(guest.output, REFUSED[9:] + REFUSED)
    guest.exit(3)
    assert [guest.receive(), guest.receive(), guest.receive()] == [Refused("no"), Refused("no"), None]
    assert guest.peer.exit_code == 3


def test_a_guest_may_be_cut_off_in_the_middle_of_a_word(guest: Guest) -> None:
    os.write(guest.output, REFUSED + REFUSED[:9])
    os.close(guest.output)
    os.close(guest.line)
    assert guest.receive() == Refused("no")
    with pytest.raises(GuestLostError, match="panicked: not syncing: oops"):
        guest.receive()


def test_an_error_of_ours_in_a_guest_comes_with_its_traceback(guest: Guest) -> None:
    os.write(guest.output, b'{"type":"broken","summary":"KeyError: 1","trace":"Traceback ..."}\n')
    with pytest.raises(ForeignError, match=r"^KeyError: 1$") as raised:
        guest.receive()
    assert raised.value.trace == "Traceback ..."


def test_a_module_that_was_killed_leaves_half_a_message(guest: Guest) -> None:
    os.write(guest.output, REFUSED[:9])
    guest.exit(137)
    assert guest.receive() is None
    assert guest.peer.exit_code == 137


def test_a_guest_that_says_nothing_is_given_up(guest: Guest) -> None:
    with pytest.raises(GuestLostError, match="stopped after 5s of wall time"):
        guest.receive(within=0.0)
