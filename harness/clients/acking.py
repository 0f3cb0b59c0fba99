"""Reads all it can and acknowledges its playback to the server: the healthy user."""

from __future__ import annotations

from itertools import pairwise

from halfopen.clients import _behaviour
from halfopen.model.evidence import Proof, all_of, allowed_silence, peer_acknowledges
from halfopen.model.timeline import Timeline
from halfopen.netns.units import show_duration

SUMMARY = "reads all it can and acknowledges it"
Options = _behaviour.ClientOptions
Behaviour = _behaviour.Behaviour


def signature(seen: Timeline) -> Proof:
    """Bytes acknowledged by the kernel and by the application."""
    return all_of(peer_acknowledges(seen), application_acknowledges(seen))


def application_acknowledges(seen: Timeline) -> Proof:
    """Check that the application's acknowledgements continued to the end of the samples.

    If the server wants none, the bytes received count instead.
    """
    opened = seen.first("client", "opened")
    says = opened is None or opened.data.get("acknowledging", True)
    did, doing = ("acknowledged", "acknowledging") if says else ("received", "receiving")
    told = [(e.t, e.data["acknowledged"]) for e in seen.of("client", "progress")]
    if len(told) < 2 or told[-1][1] == told[0][1]:
        return Proof(False, f"the client's application {did} nothing")
    last_risen = max(after[0] for before, after in pairwise(told) if after[1] != before[1])
    silence = told[-1][0] - last_risen
    if silence > allowed_silence(told[-1][0] - told[0][0]):
        return Proof(False, f"the client's application {did} nothing in the last {show_duration(silence)}")
    return Proof(True, f"application {doing} up to {told[-1][1] / 1e6:.1f} MB")
