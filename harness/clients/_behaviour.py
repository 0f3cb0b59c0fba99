"""The parts of a client's file, without the protocol: its options, and the way it reads and acknowledges."""

from __future__ import annotations

from typing import Protocol

import msgspec

from halfopen.netns.units import Size

AUTOTUNED_FROM = 128 * 1024
"""What the kernel begins with where it chooses the buffer itself, bytes (the default of tcp_rmem, tcp(7))."""
PLENTY = 1 << 20
"""An allowance that never holds reading back."""


class ClientOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every behaviour lets a scenario set."""

    receive_buffer: Size = Size(128 * 1024)
    """SO_RCVBUF, set before connecting: what the kernel would choose depends on the machine (tcp_rmem)."""

    autotune_to: Size | None = None
    """In its place: leave the buffer to the kernel, as most programs do, which lets it grow up to this
    (tcp_rmem of the client's host, tcp(7))."""

    def __post_init__(self) -> None:
        """Refuse what no kernel takes; raises ValueError."""
        if not 1 <= self.receive_buffer <= 1 << 30:
            raise ValueError(f"receive_buffer of {self.receive_buffer} bytes is out of range: from 1B to 1024MiB")
        if self.autotune_to is not None and not AUTOTUNED_FROM <= self.autotune_to <= 1 << 30:
            raise ValueError(f"autotune_to of {self.autotune_to} bytes is out of range: from 128KiB to 1024MiB")


class Behaviour(Protocol):
    """How a client reads and acknowledges."""

    def allowance(self, now: float) -> int:
        """How many bytes may be read from the socket at ``now``, seconds of the monotonic clock."""
        ...

    def next_at(self) -> float:
        """When bytes may be read again, if none may be read now; seconds of the monotonic clock."""
        ...

    def acknowledgement(self, received: int) -> int | None:
        """What to tell the server's application when ``received`` bytes were read in all: a cumulative
        count of bytes, None for nothing."""
        ...
