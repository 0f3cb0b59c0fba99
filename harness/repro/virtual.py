"""Hold a session in a guest on the virtual clock, where time stands still meanwhile."""

from __future__ import annotations

import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich.console import Console

from halfopen.errors import InputError
from halfopen.netns.guest import booting
from halfopen.netns.guest.booting import Boot
from halfopen.netns.guest.cache import GuestKernel
from halfopen.netns.guest.machine import Machine
from halfopen.netns.lab_errors import GuestLostError
from halfopen.repro import keys, line
from halfopen.repro.frontends import HoldOptions, attend, print_account
from halfopen.repro.line import Account, HoldPart, HoldRefused, HoldUp, Order, Pass, Press, Quit, Remark, Said, Shown
from halfopen.repro.view import SessionView
from halfopen.run.guests import compile_ourselves
from halfopen.run.request import RunRequest

_MEMORY = 2 << 30
#: Seconds between polls for the guest's next message.
_LISTEN = 0.01


@dataclass(frozen=True, slots=True)
class VirtualHold:
    """The session to hold, its guest, and how to show it."""

    part: HoldPart
    kernel: GuestKernel
    header: Callable[[HoldUp], str]
    """Text to print once the guest is up."""
    options: HoldOptions
    wall_limit: float
    """Real seconds within which the guest must answer."""

    @property
    def call(self) -> RunRequest:
        """The request of this hold."""
        return self.part.call


def carry_out(hold: VirtualHold, console: Console, place: Path) -> int:
    """Run to the wedge in a guest, hold, and print the closing account; returns the exit code.

    ``place`` is the folder of halfopen.netns.guest.booting.in_private. Raises InputError if the guest refuses,
    GuestLostError if it is lost.
    """
    compile_ourselves()
    folder = place / "part"
    folder.mkdir(parents=True)
    (folder / line.PART).write_bytes(msgspec.json.encode(hold.part))
    boot = Boot(
        kernel=hold.kernel,
        # -P: a folder called harness in the user's current directory must not stand in for ours.
        command=[sys.executable, "-P", "-m", "halfopen.repro.guest_side", str(folder)],
        writable=[folder],
        memory=_MEMORY,
        seed=hold.call.seed,
        environment={"PYTHONHASHSEED": str(hold.call.seed % 2**32)},
    )
    with booting.start(boot, place / "guest", 2) as guest:
        return _attend(hold, _Guest(guest, folder, hold.wall_limit), console)


def _attend(hold: VirtualHold, guest: _Guest, console: Console) -> int:
    hello = guest.hear()
    assert isinstance(hello, HoldUp), hello
    console.print(hold.header(hello), soft_wrap=True)
    code = attend(_StandingStill(guest), console, hold.options, keys.VIRTUAL, {})
    end = guest.account(tells_deeds=hold.options.terminal is not None)
    if end.captured is not None:
        guest.fetch(line.CAPTURE, Path(end.captured))
    print_account(console, end.lines)
    return code


class _Guest:
    """A guest that waits for orders. It is stopped while it waits."""

    def __init__(self, machine: Machine, folder: Path, wall_limit: float) -> None:
        self._machine, self._folder, self._wall_limit = machine, folder, wall_limit
        self._number = 0

    def hear(self) -> Said:
        """Return its next message; raises GuestLostError, or InputError for a refusal."""
        self._number += 1
        file = line.said_file(self._folder, self._number)
        until = time.monotonic() + self._wall_limit
        while not file.exists():
            if self._machine.process.poll() is not None:
                raise GuestLostError(self._machine.last_words())
            if time.monotonic() > until:
                raise GuestLostError(f"the guest said nothing for {self._wall_limit:g}s of wall time")
            time.sleep(_LISTEN)
        said: Said = msgspec.json.decode(file.read_bytes(), type=Said)
        if isinstance(said, HoldRefused):
            raise InputError(said.why)
        if isinstance(said, Shown):
            # The guest polls for orders without sleeping, which keeps its clock still. Stop it, so that it burns no
            # CPU.
            self._machine.process.send_signal(signal.SIGSTOP)
        return said

    def order(self, order: Order) -> Said:
        """Send an order and return the guest's answer."""
        line.put(line.order_file(self._folder, self._number), order)
        self._machine.process.send_signal(signal.SIGCONT)
        return self.hear()

    def account(self, *, tells_deeds: bool) -> Account:
        """End the guest's hold and return its account."""
        said = self.order(Quit(tells_deeds))
        assert isinstance(said, Account), said
        return said

    def fetch(self, name: str, to: Path) -> None:
        """Copy a file out of the guest's folder; raises InputError if it cannot be written here."""
        try:
            shutil.copyfile(self._folder / name, to)
        except OSError as error:
            raise InputError(f"the capture {str(to)!r} cannot be written: {error.strerror}") from None


class _StandingStill:
    """A session in which nothing happens without an order. Satisfies halfopen.repro.frontends.Held."""

    def __init__(self, guest: _Guest) -> None:
        self._guest = guest
        self._look = self._shown(guest.hear())

    @property
    def is_settled(self) -> bool:
        """Always true."""
        return True

    def step(self) -> None:
        """Do nothing."""

    def patience(self, longest: float) -> float:
        """Return ``longest``, since nothing is ever due."""
        return longest

    def view(self) -> SessionView:
        """Return the state after the last order."""
        return self._look

    def press(self, key: str) -> bool:
        """Let time pass, or have the guest carry out a key."""
        if key in keys.PASSING:
            self._do(Pass(keys.PASSING[key]))
        elif any(key == one.key for one in keys.VIRTUAL):
            self._do(Press(key))
        elif key in keys.SHELLS:
            self.remark(f"{key}: {keys.NO_SHELLS}")
        else:
            return False
        return True

    def remark(self, text: str) -> None:
        """Have the guest add a remark to the list of actions."""
        self._do(Remark(text))

    def _do(self, order: Order) -> None:
        self._look = self._shown(self._guest.order(order))

    def _shown(self, said: Said) -> SessionView:
        assert isinstance(said, Shown), said
        return said.look
