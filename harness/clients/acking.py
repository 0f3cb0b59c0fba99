"""Reads all it can and acknowledges its playback to the server: the healthy user."""

from __future__ import annotations

from halfopen.clients._behaviour import PLENTY, ClientOptions
from halfopen.model.evidence import Proof, all_of, allowed_silence, lives
from halfopen.model.timeline import Timeline
from halfopen.netns.units import show_duration


class Options(ClientOptions, frozen=True):
    """No options of its own."""


class Behaviour:
    """Reads everything and acknowledges it at once."""

    def __init__(self, _: Options) -> None:
        pass

    def allowance(self, _: float) -> int:
        """Return a number that never limits."""
        return PLENTY

    def next_at(self) -> float:
        """Never called, since there is no limit."""
        return 0.0

    def acknowledgement(self, received: int) -> int:
        """Return all bytes received."""
        return received


def signature(seen: Timeline) -> Proof:
    """The client is alive, and its application keeps up with the messages it gets."""
    return all_of(lives(seen), application_acknowledges(seen))


def application_acknowledges(seen: Timeline) -> Proof:
    """Check that the application acknowledged the messages that it received.

    If the server wants no acknowledgements, the bytes received count instead.
    """
    opened = seen.first("client", "opened")
    says = opened is None or opened.data.get("acknowledging", True)
    doing = "acknowledging" if says else "receiving"
    reports = [(e.t, e.data["received"], e.data["acknowledged"]) for e in seen.of("client", "progress")]
    if not reports:
        return Proof(False, "the client never reported its progress")
    end, received, acknowledged = reports[-1]
    if not received:
        return Proof(True, "no whole message to acknowledge")
    behind = next((t for t, count, _ in reports if count > acknowledged), None)
    if behind is not None and end - behind > allowed_silence(end - reports[0][0]):
        return Proof(False, f"the client's application acknowledged nothing for {show_duration(end - behind)}")
    return Proof(True, f"application {doing} up to {acknowledged / 1e6:.1f} MB")
