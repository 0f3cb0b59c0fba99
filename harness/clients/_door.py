"""The client's way into a server: written by the harness, used by the machine under every behaviour."""

from __future__ import annotations

import msgspec


class Door(msgspec.Struct, frozen=True, kw_only=True):
    """A server's address for clients, and everything they must send there to get a session that streams."""

    url: str
    authority: str | None = None
    """File with the certificate of the authority that it trusts; None without TLS."""
    subprotocols: tuple[str, ...] = ()
    headers: dict[str, str] = {}
    send: tuple[str, ...] = ()
    """Text messages to send first."""
    replies: dict[str, str] = {}
    """Answers by received text message."""
    acknowledge: str = '{"type": "params", "slice_bytes_rx": {bytes}}'
    """Message that acknowledges ``{bytes}`` received by its application in all; empty: none."""
