"""Reads all it can and tells the server how much it has played: the healthy user."""

from __future__ import annotations

from harness.clients._machine import PLENTY, ClientOptions
from harness.evidence import Proof, all_of, peer_acknowledges
from harness.timeline import Timeline


class Options(ClientOptions, frozen=True):
    """Nothing of its own."""


class Behaviour:
    """Reads everything and acknowledges it at once."""

    def __init__(self, _: Options) -> None:
        pass

    def allowance(self, _: float) -> int:
        """No limit."""
        return PLENTY

    def next_at(self) -> float:
        """Never asked, since there is no limit."""
        return 0.0

    def acknowledgement(self, received: int) -> int:
        """All that was received."""
        return received


def signature(seen: Timeline) -> Proof:
    """Bytes acknowledged by the kernel and by the application."""
    return all_of(peer_acknowledges(seen), application_acknowledges(seen))


def application_acknowledges(seen: Timeline) -> Proof:
    """Whether the application's acknowledgements went on to the end of what was seen."""
    counts = [e.data["acknowledged"] for e in seen.of("client", "progress")]
    if len(counts) < 2 or counts[-1] == counts[0]:
        return Proof(False, "the client's application acknowledged nothing")
    return Proof(True, f"application acknowledging up to {counts[-1] / 1e6:.1f} MB")
