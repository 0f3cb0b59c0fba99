"""Reads all it can and sends far more than anybody asked for: a loop that went wrong, or somebody who means harm."""

from __future__ import annotations

import time

from halfopen.clients import acking
from halfopen.clients._behaviour import ClientOptions
from halfopen.model.evidence import Proof, all_of, lives
from halfopen.model.timeline import Timeline
from halfopen.netns.units import Duration, show_bytes, show_duration

SUMMARY = "reads all it can and floods the server with small messages"
#: Share of its messages that a server must have taken, or there was no flood.
_MOST = 0.5


class Options(ClientOptions, frozen=True):
    """Strength of the flood."""

    burst: int = 25
    """Messages at once: acknowledgements if the server wants any, else texts of 64 bytes."""
    every: Duration = Duration(0.05)
    """Seconds from one burst to the next."""

    def __post_init__(self) -> None:
        """Refuse what is no flood, or one without a pause; raises ValueError."""
        super().__post_init__()
        if self.burst < 1:
            raise ValueError(f"burst of {self.burst} messages is out of range: at least 1")
        if not self.every:
            raise ValueError("every of 0s is out of range: bursts without a pause between them have no end")


class Behaviour(acking.Behaviour):
    """Reads and acknowledges everything, and sends a burst whenever one is due."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._speaks_at = time.monotonic()

    def speaks_at(self) -> float:
        """Return the time of the next burst."""
        return self._speaks_at

    def messages(self, now: float) -> int:
        """Return the messages of a burst. Bursts that were missed are not made up for."""
        self._speaks_at = max(self._speaks_at + self._options.every, now)
        return self._options.burst


def signature(seen: Timeline) -> Proof:
    """The client is alive, and its kernel took its messages all along, as the server's did."""
    return all_of(lives(seen), floods(seen))


def floods(seen: Timeline) -> Proof:
    """Check that the server's kernel received what the client sent beyond its acknowledgements."""
    reports = [event for event in seen.of("client", "progress") if "spoken" in event.data]
    samples = [sample for sample in seen.samples if sample.bytes_received is not None]
    if len(reports) < 2 or len(samples) < 2:
        return Proof(False, "the client was to flood the server, but nothing shows that it did")
    spoken = reports[-1].data["spoken"] - reports[0].data["spoken"]
    taken = (samples[-1].bytes_received or 0) - (samples[0].bytes_received or 0)
    lasted = show_duration(reports[-1].t - reports[0].t)
    if not spoken or taken < _MOST * spoken:
        return Proof(False, f"the client was to flood the server, which took {show_bytes(taken)} in {lasted}")
    return Proof(True, f"flooded with {show_bytes(spoken)} in {lasted}")
