"""Reads all it can and acknowledges its playback to the server: the healthy user."""

from __future__ import annotations

from halfopen.clients import _behaviour
from halfopen.model.evidence import Proof, all_of, allowed_silence, lives
from halfopen.model.timeline import Timeline
from halfopen.netns.units import show_bytes, show_duration

SUMMARY = "reads all it can and acknowledges it"
Options = _behaviour.ClientOptions
Behaviour = _behaviour.Behaviour


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
    return Proof(True, f"application {doing} up to {show_bytes(acknowledged)}")
