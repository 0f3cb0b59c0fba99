"""A browser tab in the background: its timers run once a second, and it reads and acknowledges only then.

Browsers allow hidden pages one timer a second (MDN, setTimeout, "Timeouts in inactive tabs"). If a page does not
consume data, its browser soon stops reading from the socket.
"""

from __future__ import annotations

import time
from itertools import pairwise

from halfopen.clients import _behaviour
from halfopen.clients._behaviour import PLENTY, ClientOptions
from halfopen.clients.acking import application_acknowledges
from halfopen.model.evidence import Proof, all_of, peer_acknowledges
from halfopen.model.timeline import Timeline

SUMMARY = "reads and acknowledges once a second, as a hidden browser tab does"
Options = ClientOptions

#: Seconds between two awakenings.
_EVERY = 1.0
#: Seconds for which it then reads everything.
_AWAKE = 0.05
#: Least share of rests between polls. A client polled twice in that time rests every other time.
_RESTING = 0.25


class Behaviour(_behaviour.Behaviour):
    """Reads everything available, for a moment once a second."""

    def __init__(self, _: Options) -> None:
        # Not at the time of its progress reports, every half second, since they would fall into its reading.
        self._wakes_at = time.monotonic() + _EVERY / 4

    def allowance(self, now: float) -> int:
        """Return no limit while awake, else 0."""
        if now >= self._wakes_at + _AWAKE:
            self._wakes_at = max(self._wakes_at + _EVERY, now)
        return PLENTY if now >= self._wakes_at else 0

    def next_at(self) -> float:
        """Return the time when it wakes up."""
        return self._wakes_at


def signature(seen: Timeline) -> Proof:
    """Bytes acknowledged by the kernel and by the application, with rests in which none was read."""
    return all_of(peer_acknowledges(seen), application_acknowledges(seen), _rests(seen))


def _rests(seen: Timeline) -> Proof:
    read = [e.data.get("read", e.data["received"]) for e in seen.of("client", "progress")]
    looks = len(read) - 1
    rests = sum(1 for before, after in pairwise(read) if after == before)
    return Proof(rests > looks * _RESTING, f"nothing read between {rests} of {looks} looks half a second apart")
