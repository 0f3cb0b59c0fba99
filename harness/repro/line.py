"""How a guest in which time stands still is talked to: a file for each message, in a folder that both see.

The guest's side asks for its next order without ever sleeping, and as computing takes no time on the virtual clock,
none passes in the guest. The other side stops the guest's processor meanwhile, for that not to be burnt.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from halfopen.repro.look import Look
from halfopen.run.request import Call


class Part(msgspec.Struct, frozen=True):
    """What the guest is to hold."""

    call: Call
    title: str
    ping: float
    """The interval of the pod's keepalive, seconds."""
    again: str
    pcap: str | None
    """What is captured into from the first; None: nothing is until that is asked for."""
    spare_pcap: str
    """And then into this."""


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """From the guest: it is up. Waits for no order."""

    kernel: str
    congestion_control: str | None


class Shown(msgspec.Struct, frozen=True, tag="shown"):
    """From the guest: it is held, and this is what there is to see. Waits for an order."""

    look: Look


class Account(msgspec.Struct, frozen=True, tag="account"):
    """From the guest: it is over."""

    lines: list[str]
    captured: str | None = None
    """Where what is in CAPTURE belongs."""


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """From the guest: it cannot be done, in words for the user."""

    why: str


class Pass(msgspec.Struct, frozen=True, tag="pass"):
    """To the guest: let time pass."""

    seconds: float


class Press(msgspec.Struct, frozen=True, tag="press"):
    """To the guest: a key was pressed."""

    key: str


class Remark(msgspec.Struct, frozen=True, tag="remark"):
    """To the guest: write this down among what was done."""

    text: str


class Quit(msgspec.Struct, frozen=True, tag="quit"):
    """To the guest: give an account, and end."""

    tells_deeds: bool


Said = Hello | Shown | Account | Refused
Order = Pass | Press | Remark | Quit

PART = "part.json"
CAPTURE = "capture.pcapng"


def said_file(folder: Path, number: int) -> Path:
    """Where what the guest says as the so-manieth is."""
    return folder / f"said-{number}.json"


def order_file(folder: Path, number: int) -> Path:
    """Where the answer to it is."""
    return folder / f"order-{number}.json"


def put(file: Path, message: Said | Order) -> None:
    """Write a message; the file is there only once it is whole, on either side."""
    half = file.with_suffix(".half")
    with half.open("wb") as stream:
        stream.write(msgspec.json.encode(message))
        stream.flush()
        # A guest's own cache is not seen outside.
        os.fsync(stream.fileno())
    half.rename(file)
