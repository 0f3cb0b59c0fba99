"""Reads all it can as it arrives and sends nothing: a listener, or a player on pause whose library drains."""

from __future__ import annotations

from halfopen.clients import _behaviour
from halfopen.clients._behaviour import ClientOptions
from halfopen.model.evidence import Proof, all_of, lives
from halfopen.model.timeline import Timeline

SUMMARY = "reads all it can and sends nothing"
Options = ClientOptions


class Behaviour(_behaviour.Behaviour):
    """Reads everything, acknowledges nothing."""

    def acknowledgement(self, _: int) -> None:
        """Return None: it never acknowledges."""
        return


def signature(seen: Timeline) -> Proof:
    """The client is alive, and its application acknowledges nothing."""
    return all_of(lives(seen), application_is_silent(seen))


def application_is_silent(seen: Timeline) -> Proof:
    """Check that the application reported its progress and acknowledged nothing."""
    told = [e.data["acknowledged"] for e in seen.of("client", "progress")]
    if not told:
        return Proof(False, "the client never reported its progress")
    if any(told):
        return Proof(False, f"the client's application acknowledged {max(told)} bytes")
    return Proof(True, "no application acknowledgement")
