"""Hold a session in a guest on the virtual clock, where time stands still meanwhile."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from rich.console import Console

from halfopen.errors import InputError
from halfopen.netns.guest.cache import GuestKernel
from halfopen.netns.guest.script import Boot
from halfopen.netns.lab_errors import GuestLostError
from halfopen.repro import keys
from halfopen.repro.frontends import HoldOptions, attend, print_account
from halfopen.repro.guest_side import (
    CAPTURE,
    Account,
    HoldPart,
    HoldStuck,
    Order,
    Pass,
    Press,
    Quit,
    Remark,
    Said,
    Shown,
    order_file,
)
from halfopen.repro.view import SessionView
from halfopen.run.guests import compile_ourselves
from halfopen.spawn.guest_peer import GuestPeer, guest_peer
from halfopen.spawn.peers import PeerUp, Refused, command

#: Real seconds without a message, on top of the server's start time, after which a guest is given up.
_WALL_BEYOND = 60.0


def carry_out(
    part: HoldPart,
    kernel: GuestKernel,
    header: Callable[[PeerUp], str],
    options: HoldOptions,
    console: Console,
    place: Path,
) -> int:
    """Run to the wedge in a guest, hold, and print the closing account; returns the exit code.

    ``header`` makes the text to print once the guest is up. ``place`` is the folder of
    halfopen.netns.guest.booting.in_private. Raises InputError if the guest refuses, GuestLostError if it is lost,
    ForeignError for a bug in it.
    """
    compile_ourselves()
    limit = _WALL_BEYOND + part.call.ready
    boot = Boot(kernel, command("halfopen.repro.guest_side"), wall_limit=limit, seed=part.call.seed)
    with guest_peer(boot, part, Said, place) as peer:
        up = _hear(peer, limit)
        assert isinstance(up, PeerUp), up
        console.print(header(up), soft_wrap=True)
        held = _HeldInGuest(peer, limit)
        code = attend(held, console, options, keys.VIRTUAL, {})
        account = held.quit(Quit(lists_actions=options.terminal is not None))
        if account.captured is not None:
            _copy(peer.folder / CAPTURE, account.captured)
        print_account(console, account.lines)
        # The guest ends the session's processes now.
        if _receive(peer, limit) is not None or peer.exit_code:
            raise GuestLostError(f"the guest's command ended with exit code {peer.exit_code} after the hold was over")
        return code


def _hear(peer: GuestPeer, wall_limit: float) -> Said:
    """Return the guest's next message; raises GuestLostError, InputError for a refusal, or ForeignError for a bug."""
    said = _receive(peer, wall_limit)
    if said is None:
        raise GuestLostError(f"the guest's command ended with exit code {peer.exit_code} before the hold was over")
    return said


def _receive(peer: GuestPeer, wall_limit: float) -> Said | None:
    """Return the guest's next message, None if it has ended; raises like _hear."""
    said: Said | None = peer.receive(time.monotonic() + wall_limit)
    if isinstance(said, Refused):
        raise InputError(said.why)
    if isinstance(said, HoldStuck):
        raise GuestLostError(said.why)
    return said


def _copy(capture: Path, to: str) -> None:
    try:
        shutil.copyfile(capture, to)
    except OSError as error:
        raise InputError(f"the capture {to!r} cannot be written: {error.strerror}") from None


class _HeldInGuest:
    """A session in which nothing happens without an order. Satisfies halfopen.repro.frontends.Held."""

    def __init__(self, peer: GuestPeer, wall_limit: float) -> None:
        self._peer, self._wall_limit = peer, wall_limit
        self._ordered = 0
        self._show(_hear(peer, wall_limit))

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
        return self._view

    def press(self, key: str) -> bool:
        """Let time pass, or have the guest carry out a key."""
        if key in keys.PASSING:
            self._order(Pass(keys.PASSING[key]))
        elif any(key == stroke.key for stroke in keys.VIRTUAL):
            self._order(Press(key))
        elif key in keys.SHELLS:
            self.remark(f"{key}: {keys.NO_SHELLS}")
        else:
            return False
        return True

    def remark(self, text: str) -> None:
        """Have the guest add a remark to the list of actions."""
        self._order(Remark(text))

    def quit(self, order: Quit) -> Account:
        """End the guest's hold and return its account."""
        self._send(order)
        # An answer to an order whose wait was interrupted comes first.
        while not isinstance(said := _hear(self._peer, self._wall_limit), Account):
            pass
        return said

    def _order(self, order: Order) -> None:
        self._send(order)
        self._show(_hear(self._peer, self._wall_limit))

    def _send(self, order: Order) -> None:
        file = order_file(self._peer.folder, self._ordered)
        half = file.with_suffix(".half")
        half.write_bytes(msgspec.json.encode(order))
        half.rename(file)
        self._ordered += 1
        self._peer.machine.process.send_signal(signal.SIGCONT)

    def _show(self, said: Said) -> None:
        assert isinstance(said, Shown), said
        self._view = said.view
        # The guest polls for orders without sleeping, which keeps its clock still. Stop it, so that it burns no CPU.
        self._peer.machine.process.send_signal(signal.SIGSTOP)
