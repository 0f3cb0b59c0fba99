"""HAProxy as the edge of a platform: it upgrades a connection to a tunnel and stays passive (RFC 9110, section 7.8).

Its timeouts are an hour, as in tunnels and hosted platforms.
"""

from __future__ import annotations

from pathlib import Path

from halfopen.netns.sockets import Address

SUMMARY = "HAProxy upgrades a connection to a tunnel"
PROGRAM = "haproxy"
PACKAGE = "haproxy"


def config(listen: Address, upstream: Address, _folder: Path) -> str:
    """Return haproxy.cfg for one process; it writes no file."""
    # Each connection is logged at its end, with the state in which it was (termination code, configuration manual 8.5).
    # No time of day, so that equal runs have equal timelines.
    return f"""global
    nbthread 1
    maxconn 4096
    log stdout format raw daemon
defaults
    log global
    log-format "%ci:%cp to %b/%s: termination %ts, status %ST, %B bytes, %Tt ms"
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    timeout tunnel 1h
frontend edge
    bind {listen}
    default_backend server
backend server
    server one {upstream}
"""


def command(program: str, file: Path) -> list[str]:
    """Return the command that runs it in the foreground (-db)."""
    return [program, "-db", "-f", str(file)]
