"""A browser tab in the background: its timers run once a second, and it reads and acknowledges only then.

Once a second is what browsers leave to hidden pages (MDN, setTimeout, "Timeouts in inactive tabs"); what a page
does not take in, its browser stops reading from the socket before long.
"""

from __future__ import annotations

import time
from itertools import pairwise

from halfopen.clients._behaviour import PLENTY, ClientOptions
from halfopen.clients.acking import application_acknowledges
from halfopen.model.evidence import Proof, all_of, peer_acknowledges
from halfopen.model.timeline import Timeline

#: Between two times at which it reads, seconds.
_EVERY = 1.0
#: How long it then reads whatever there is, seconds.
_AWAKE = 0.05
#: A client looked at twice in that time is seen to rest every other time; at least this share is asked for.
_RESTING = 0.25


class Options(ClientOptions, frozen=True):
    """Nothing of its own."""


class Behaviour:
    """Reads all there is, for a moment once a second."""

    def __init__(self, _: Options) -> None:
        # Not when it also tells how far it is, every half second, or that would come in the midst of its reading.
        self._wakes_at = time.monotonic() + _EVERY / 4

    def allowance(self, now: float) -> int:
        """No limit while awake."""
        if now >= self._wakes_at + _AWAKE:
            self._wakes_at = max(self._wakes_at + _EVERY, now)
        return PLENTY if now >= self._wakes_at else 0

    def next_at(self) -> float:
        """When it wakes up."""
        return self._wakes_at

    def acknowledgement(self, received: int) -> int:
        """All that was read."""
        return received


def signature(seen: Timeline) -> Proof:
    """Bytes acknowledged by the kernel and by the application, and rests in between in which none was read."""
    return all_of(peer_acknowledges(seen), application_acknowledges(seen), _rests(seen))


def _rests(seen: Timeline) -> Proof:
    read = [e.data.get("read", e.data["received"]) for e in seen.of("client", "progress")]
    looks = len(read) - 1
    rests = sum(1 for before, after in pairwise(read) if after == before)
    return Proof(rests > looks * _RESTING, f"nothing read between {rests} of {looks} looks half a second apart")
