"""Hold a session in a guest whose clock stands still: ``python -m halfopen.repro.guest_side FOLDER``, inside it.

The guest polls for its next order without ever sleeping. Computing takes no time on the virtual clock, so no guest time
passes. For the same reason orders are files in the shared folder: input from a console would reach the guest's process
only through other processes of the guest, and none need run while that one computes. Meanwhile the other side
(halfopen.repro.virtual) stops the guest's processor, which would otherwise burn real CPU.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from halfopen.errors import InputError
from halfopen.netns.guest import script
from halfopen.netns.lab_errors import LabError, TeardownError
from halfopen.repro.director import Director, directed, with_held_watchdog
from halfopen.repro.session_capture import SessionCapture
from halfopen.repro.view import SessionView
from halfopen.run import request
from halfopen.run.request import RunRequest
from halfopen.spawn.guest_peer import task_in
from halfopen.spawn.peers import PeerUp, Refused, Sender

#: Seconds of the guest's clock between two steps.
_TICK = 0.05
#: The capture, in the shared folder.
CAPTURE = "capture.pcapng"


class HoldPart(msgspec.Struct, frozen=True):
    """Description of the session that the guest holds."""

    call: RunRequest
    title: str
    ping: float
    """Interval of the pod's keepalive, seconds."""
    again: str
    pcap: str | None
    """Capture file from the start; None captures nothing until asked."""
    spare_pcap: str
    """Capture file for a capture started by hand."""


class Shown(msgspec.Struct, frozen=True, tag="shown"):
    """From the guest: the session is held, and this is its state. Waits for an order."""

    view: SessionView


class Account(msgspec.Struct, frozen=True, tag="account"):
    """From the guest: the hold is over. The session's processes may still be there."""

    lines: list[str]
    captured: str | None = None
    """Destination of the file CAPTURE."""


class Pass(msgspec.Struct, frozen=True, tag="pass"):
    """To the guest: let time pass."""

    seconds: float


class Press(msgspec.Struct, frozen=True, tag="press"):
    """To the guest: a key was pressed."""

    key: str


class Remark(msgspec.Struct, frozen=True, tag="remark"):
    """To the guest: add this remark to the list of actions."""

    text: str


class Quit(msgspec.Struct, frozen=True, tag="quit"):
    """To the guest: give the closing account, and end."""

    lists_actions: bool


class HoldStuck(msgspec.Struct, frozen=True, tag="stuck"):
    """From the guest: processes of the session do not end. ``why`` names them."""

    why: str


Said = PeerUp | Shown | Account | HoldStuck | Refused
Order = Pass | Press | Remark | Quit


def order_file(folder: Path, number: int) -> Path:
    """Path of the nth order. The file appears only once it is complete."""
    return folder / f"order-{number}.json"


def main(folder: Path) -> int:
    """Hold the session described by the part in ``folder``; returns 0 on success."""
    part: HoldPart = task_in(folder, HoldPart)
    # Not standard output: a process of the guest passes that on, and none need run while this one polls for orders.
    with open(script.OUT, "wb") as console:  # noqa: PTH123 (a device)
        sender = Sender(console)
        sender.send(PeerUp())
        with sender.sending_bugs():
            try:
                _hold(part, sender, folder)
            except TeardownError as error:
                sender.send(HoldStuck(str(error)))
                return 1
            except (InputError, LabError) as error:
                sender.send(Refused(str(error)))
                return 1
    return 0


def _captured(part: HoldPart, file: Path) -> str | None:
    """Return where the closed capture belongs; None if there is none."""
    if not file.exists():
        return None
    with file.open("rb+") as written:
        # Flush it out of the guest's own cache.
        os.fsync(written.fileno())
    return part.pcap or part.spare_pcap


def _hold(part: HoldPart, sender: Sender, folder: Path) -> None:
    """Hold the session, and send the account before the session's processes are ended, which may fail."""
    (job,) = request.jobs(part.call)
    spare = Path(part.spare_pcap)
    capture = SessionCapture(None if part.pcap is None else Path(part.pcap), spare, folder / CAPTURE)
    with directed(with_held_watchdog(job, part.ping), part.title, capture) as director:
        while not director.is_settled:
            _step(director, _TICK)
        lists_actions = _obey(director, sender, folder)
        lines = director.account(part.again, lists_actions=lists_actions)
        sender.send(Account(lines, _captured(part, folder / CAPTURE)))


def _obey(director: Director, sender: Sender, folder: Path) -> bool:
    """Show the session and obey orders until Quit. Returns whether the account lists the actions."""
    sender.send(Shown(director.view()))
    for order in _orders(folder):
        match order:
            case Pass(seconds):
                until = director.now + seconds
                while director.now < until:
                    _step(director, min(_TICK, until - director.now))
            case Press(key):
                director.press(key)
            case Remark(text):
                director.remark(text)
            case Quit(lists_actions):
                return lists_actions
        sender.send(Shown(director.view()))
    raise AssertionError("there is always another order")


def _orders(folder: Path) -> Iterator[Order]:
    """Yield orders as they come. They are polled for without sleeping, so that no guest time passes."""
    for number in itertools.count():
        file = order_file(folder, number)
        while not file.exists():
            pass
        order: Order = msgspec.json.decode(file.read_bytes(), type=Order)
        yield order


def _step(director: Director, longest: float) -> None:
    time.sleep(director.patience(longest))
    director.step()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
