"""How a client gets in: said by the harness, done by the machine under every behaviour."""

from __future__ import annotations

import msgspec


class Door(msgspec.Struct, frozen=True, kw_only=True):
    """Where a client connects, and what it has to say there to get a session that streams."""

    url: str
    authority: str | None = None
    """A file with the certificate of the authority that it trusts; None where there is no TLS."""
    subprotocols: tuple[str, ...] = ()
    headers: dict[str, str] = {}
    send: tuple[str, ...] = ()
    """The text messages with which it begins."""
    replies: dict[str, str] = {}
    """What it answers to which text message."""
    acknowledge: str = '{"type": "params", "slice_bytes_rx": {bytes}}'
    """How it tells what its application has received, ``{bytes}`` in all; empty: not at all."""
