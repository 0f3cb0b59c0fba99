"""Reads all it can as it arrives and sends nothing: a listener, or a player on pause whose library drains."""

from __future__ import annotations

from halfopen.clients import _behaviour
from halfopen.clients._behaviour import ClientOptions
from halfopen.model.evidence import Proof, all_of, peer_acknowledges
from halfopen.model.timeline import Timeline

SUMMARY = "reads all it can and sends nothing"
Options = ClientOptions


class Behaviour(_behaviour.Behaviour):
    """Reads everything, acknowledges nothing."""

    def acknowledgement(self, _: int) -> None:
        """Return None: it never acknowledges."""
        return


def signature(seen: Timeline) -> Proof:
    """Bytes acknowledged by the kernel, none by the application."""
    return all_of(peer_acknowledges(seen), application_is_silent(seen))


def application_is_silent(seen: Timeline) -> Proof:
    """Check that the application read messages and acknowledged none."""
    told = [e.data["acknowledged"] for e in seen.of("client", "progress")]
    if not told:
        return Proof(False, "the client never said how far it is")
    if not any(e.data["received"] for e in seen.of("client", "progress")):
        return Proof(False, "the server sent the client no message")
    if any(told):
        return Proof(False, f"the client's application acknowledged {max(told)} bytes")
    return Proof(True, "no application acknowledgement")
