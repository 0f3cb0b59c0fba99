"""HAProxy as the edge of a platform: it upgrades a connection to a tunnel and then looks on (RFC 9110, section 7.8).

With timeouts of an hour, as tunnels and hosted platforms have them.
"""

from __future__ import annotations

from pathlib import Path

from halfopen.netns.sockets import Address

PROGRAM = "haproxy"
PACKAGE = "haproxy"


def config(listen: Address, upstream: Address, _folder: Path) -> str:
    """haproxy.cfg for one process; it writes no file."""
    return f"""global
    nbthread 1
    maxconn 64
defaults
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
    """In the foreground (-db), without the banner of warnings (-q)."""
    return [program, "-db", "-q", "-f", str(file)]
