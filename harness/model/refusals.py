"""Explain why a client got no session. Pure: a timeline in, a proof of the server's fault out.

A server that lets nobody in has failed every scenario. Otherwise a session that never opened would prove nothing, and a
server that never behaves would never be red. Only failures that may be the network's remain unproved.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from halfopen.model.evidence import Proof
from halfopen.model.timeline import Timeline

#: Remedies for answers that ask the handshake for something missing (RFC 9110, section 15.5).
_HINTS = {
    400: "does it want a --subprotocol or a --header?",
    401: "does it want a --header, or a token in its path (--path '/?token=...')?",
    403: "does it serve WebSocket at this --path, and does it want a --header?",
    404: "does it serve WebSocket at another --path?",
    426: "does it speak WebSocket there, or another protocol?",
}


_NO_UPGRADE = "does it serve WebSocket at another --path?"


def obstacle(timeline: Timeline) -> Proof | None:
    """Return why the client got no session, shown if the server caused it; None if it got one, or never tried."""
    if timeline.first("client", "opened") is not None:
        return None
    told = timeline.first("client", "refused", "unanswered", "unreachable")
    return None if told is None else _OBSTACLES[told.name](told.data)


def _refused(data: Mapping[str, Any]) -> Proof:
    status = data.get("status") or 0
    hint = _HINTS.get(status) or (_NO_UPGRADE if 200 <= status < 300 else None)
    if location := data.get("location"):
        hint = f"it redirects to {location}: give that as --path, or log in with a --header"
    return Proof(True, f"no session could be opened: {data['why']}{f'; {hint}' if hint else ''}")


def _unanswered(data: Mapping[str, Any]) -> Proof:
    within = f"within {data['within']:g}s"
    if data["delivered"]:
        return Proof(True, f"no session could be opened: the server did not complete the handshake {within}")
    return Proof(False, f"no session could be opened: the link did not carry the handshake {within}")


def _unreachable(data: Mapping[str, Any]) -> Proof:
    by_the_server = data.get("how") == ConnectionRefusedError.__name__
    return Proof(by_the_server, f"no session could be opened: {data['why']}")


_OBSTACLES = {"refused": _refused, "unanswered": _unanswered, "unreachable": _unreachable}
