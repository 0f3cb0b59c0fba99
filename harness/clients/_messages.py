"""Messages between the harness and a client's process: the server's address, a crowd's order, and reports."""

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


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """Exponential backoff between attempts to connect; it begins again once a connection is served."""

    base: float
    """Seconds before the first attempt."""
    most: float
    """Longest wait, seconds. Each wait is twice the previous one up to this."""
    jitter: float
    """Share of each wait, 0 to 1, that is drawn at random: 0 waits for all of it, 1 for any part of it."""


class CrowdOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The clients of one process (halfopen.clients._crowd)."""

    endpoints: tuple[Endpoint, ...]
    """One for each client."""
    seed: int
    retry: Retry | None = None
    """None: a client whose session is over stays away."""
    patience: float | None = None
    """Seconds without data after which a client gives its connection up; None: never."""
    connects_within: float
    """Seconds for an attempt, from the first packet to the end of the handshake."""


def report(name: str, **data: object) -> None:
    """Send the harness a JSON line on stdout, on the machine's monotonic clock."""
    print(json.dumps({"t": time.monotonic(), "name": name, **data}), flush=True)
