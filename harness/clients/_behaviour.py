"""The protocol-independent parts of a client's file: its options, and the way it reads and acknowledges."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from halfopen.netns.units import Size

AUTOTUNED_FROM = 128 * 1024
"""Initial buffer if the kernel chooses it, bytes (the default of tcp_rmem, tcp(7))."""
PLENTY = 1 << 20
"""An allowance that never limits reading."""


class ClientOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of every behaviour."""

    receive_buffer: Size = Size(128 * 1024)
    """SO_RCVBUF, set before connecting, since the kernel's choice depends on the machine (tcp_rmem)."""

    compression: bool = False
    """Offers permessage-deflate (RFC 7692)."""

    autotune_to: Size | None = None
    """Leaves the buffer to the kernel instead, as most programs do.

    The kernel may let it grow up to this (tcp_rmem of the client's host, tcp(7)).
    """

    def __post_init__(self) -> None:
        """Refuse values that no kernel accepts; raises ValueError."""
        if not 1 <= self.receive_buffer <= 1 << 30:
            raise ValueError(f"receive_buffer of {self.receive_buffer} bytes is out of range: from 1B to 1024MiB")
        if self.autotune_to is not None and not AUTOTUNED_FROM <= self.autotune_to <= 1 << 30:
            raise ValueError(f"autotune_to of {self.autotune_to} bytes is out of range: from 128KiB to 1024MiB")


class Behaviour:
    """The way in which a client reads and acknowledges. This one does both at once, and without a limit."""

    def __init__(self, options: Any) -> None:
        """``options`` is what the module's ``Options`` made of the scenario's."""

    def allowance(self, _now: float) -> int:
        """Return the number of bytes that may be read from the socket now, a time of the monotonic clock in seconds."""
        return PLENTY

    def next_at(self) -> float:
        """Return the time when bytes may be read again, if none may be read now; seconds of the monotonic clock."""
        return 0.0

    def acknowledgement(self, received: int) -> int | None:
        """Return the acknowledgement to the server's application after ``received`` bytes in all.

        It is a cumulative count of bytes; None for none.
        """
        return received

    def speaks_at(self) -> float:
        """Return the time when it sends messages of its own; seconds of the monotonic clock, infinite for never."""
        return math.inf

    def messages(self, _now: float) -> int:
        """Return the number of messages to send now, beyond acknowledgements; the kernel may take fewer."""
        return 0
