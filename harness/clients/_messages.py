"""Messages between the harness and a client's process: the server's address for it, and its reports."""

from __future__ import annotations

import json
import time

import msgspec


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
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


def report(name: str, **data: object) -> None:
    """Send the harness a JSON line on stdout, on the machine's monotonic clock."""
    print(json.dumps({"t": time.monotonic(), "name": name, **data}), flush=True)
