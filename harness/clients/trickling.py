"""Reads slowly and acknowledges it: the user on a bad link or a busy machine, but alive."""

from __future__ import annotations

import time

from halfopen.clients import _behaviour
from halfopen.clients._behaviour import PLENTY, ClientOptions
from halfopen.clients.acking import application_acknowledges
from halfopen.model.evidence import Proof, all_of, client_reads, established
from halfopen.model.timeline import Timeline
from halfopen.netns.units import ByteRate, Duration, Size

SUMMARY = "reads slowly and acknowledges it"

#: The queue fills at the session's start: samples before this do not count, seconds.
_FILLING = 3.0
#: Nor in this share of the session, in which the client may not have slowed yet.
_BEGINNING = 0.25
_ALMOST_ALWAYS = 0.98


class Options(ClientOptions, frozen=True):
    """Speed of its reading."""

    receive_buffer: Size = Size(64 * 1024)
    rate: ByteRate = ByteRate(64 * 1024)
    chunk: Size = Size(4 * 1024)
    slows_after: Duration = Duration(0)
    """Seconds from the session's start for which it reads everything, so that the kernel's buffer grows."""

    def __post_init__(self) -> None:
        """Refuse to read nothing at all; raises ValueError."""
        super().__post_init__()
        if self.rate < 1:
            raise ValueError(f"rate of {self.rate:g} bytes a second is out of range: at least 1B/s")
        if self.chunk < 1:
            raise ValueError("chunk of 0 bytes is out of range: at least 1B")


class Behaviour(_behaviour.Behaviour):
    """Reads ``chunk`` bytes whenever ``rate`` has paid for them."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._slow_from = time.monotonic() + options.slows_after
        self._paid_until = self._slow_from

    def allowance(self, now: float) -> int:
        """Return a chunk if it is due, else 0; no limit before it slows."""
        if now < self._slow_from:
            return PLENTY
        if now < self._paid_until:
            return 0
        # Counted from the last chunk's due time, so that the rate holds however coarse the rounds are. But never from
        # more than one second ago, or a burst would make up for a pause.
        self._paid_until = max(self._paid_until, now - 1) + self._options.chunk / self._options.rate
        return self._options.chunk

    def next_at(self) -> float:
        """Return the time when the next chunk is paid for."""
        return self._paid_until


def signature(seen: Timeline) -> Proof:
    """The queue never empty, but bytes read, and acknowledged by the kernel and by the application."""
    return all_of(queue_stays_filled(seen), client_reads(seen), application_acknowledges(seen))


def queue_stays_filled(seen: Timeline) -> Proof:
    """Check that the server always had bytes to send after the session's start."""
    samples = established(seen)
    filled = [s for s in samples if s.t >= max(_FILLING, samples[-1].t * _BEGINNING)]
    queued = sum(1 for s in filled if s.outq)
    return Proof(
        bool(filled) and queued >= _ALMOST_ALWAYS * len(filled),
        f"bytes queued in {queued} of {len(filled)} samples",
    )
