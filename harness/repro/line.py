"""Messages to and from a guest whose clock stands still: one file each, in a folder that both sides see.

The guest polls for its next order without ever sleeping. Computing takes no time on the virtual clock, so no guest time
passes. Meanwhile the other side stops the guest's processor, which would otherwise burn real CPU.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from halfopen.repro.view import SessionView
from halfopen.run.request import RunRequest


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


class HoldUp(msgspec.Struct, frozen=True, tag="hello"):
    """From the guest: it is up. Waits for no order."""

    kernel: str
    congestion_control: str | None


class Shown(msgspec.Struct, frozen=True, tag="shown"):
    """From the guest: the session is held, and this is its state. Waits for an order."""

    look: SessionView


class Account(msgspec.Struct, frozen=True, tag="account"):
    """From the guest: the hold is over."""

    lines: list[str]
    captured: str | None = None
    """Destination of the file CAPTURE."""


class HoldRefused(msgspec.Struct, frozen=True, tag="refused"):
    """From the guest: it cannot be done, in words for the user."""

    why: str


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


Said = HoldUp | Shown | Account | HoldRefused
Order = Pass | Press | Remark | Quit

PART = "part.json"
CAPTURE = "capture.pcapng"


def said_file(folder: Path, number: int) -> Path:
    """Path of the guest's nth message."""
    return folder / f"said-{number}.json"


def order_file(folder: Path, number: int) -> Path:
    """Path of the answer to the guest's nth message."""
    return folder / f"order-{number}.json"


def put(file: Path, message: Said | Order) -> None:
    """Write a message. The file appears only once it is complete, on either side."""
    half = file.with_suffix(".half")
    with half.open("wb") as stream:
        stream.write(msgspec.json.encode(message))
        stream.flush()
        # The guest's own cache is not visible outside.
        os.fsync(stream.fileno())
    half.rename(file)
