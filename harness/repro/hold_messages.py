"""Messages to and from a guest whose clock stands still.

The guest polls for its next order without ever sleeping. Computing takes no time on the virtual clock, so no guest time
passes. For the same reason orders are files in the shared folder: input from a console would reach the guest's process
only through other processes of the guest, which never run while that one computes. Meanwhile the other side stops the
guest's processor, which would otherwise burn real CPU.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from halfopen.repro.look import SessionView
from halfopen.run.request import RunRequest
from halfopen.spawn.peers import PeerUp, Refused

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

    look: SessionView


class Account(msgspec.Struct, frozen=True, tag="account"):
    """From the guest: the hold is over."""

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

    tells_deeds: bool


Said = PeerUp | Shown | Account | Refused
Order = Pass | Press | Remark | Quit


def order_file(folder: Path, number: int) -> Path:
    """Path of the nth order. The file appears only once it is complete."""
    return folder / f"order-{number}.json"
