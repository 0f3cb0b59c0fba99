"""Networks and connections for the tests of netns, and bounded waits."""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from halfopen.netns import tcp_info
from halfopen.netns.host import Host
from halfopen.netns.lab import Lab
from halfopen.netns.link import Link
from halfopen.netns.sockets import Address, SocketSample

PORT = 5090

#: Seconds far beyond any wait here. Only a broken test waits so long.
_PATIENCE = 20.0
_STEP = 0.005


@dataclass(frozen=True, slots=True)
class Network:
    """client ──near──▶ router ──far──▶ server."""

    lab: Lab
    client: Host
    router: Host
    server: Host
    near: Link
    far: Link


def ask(host: Host, call: str, *arguments: Any, **options: Any) -> list[Any]:
    """Query a host with pyroute2, such as ``ask(host, "get_links")``, independently of the code under test."""
    with host.rtnetlink() as routes:
        return list(getattr(routes, call)(*arguments, **options))


@contextlib.contextmanager
def network() -> Iterator[Network]:
    with Lab() as lab:
        client, router, server = lab.host("client"), lab.router("router"), lab.host("server")
        yield Network(lab, client, router, server, lab.link(client, router), lab.link(router, server))


def listen(host: Host, address: str = "0.0.0.0", port: int = PORT) -> socket.socket:
    """Return a listening socket in ``host``. "::" listens for IPv4 too."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with host.entered():
        return socket.create_server((address, port), family=family, dualstack_ipv6=address == "::")


@contextlib.contextmanager
def connection(net: Network) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Yield the client's and the server's end of a connection. Neither blocks, so that full buffers do not hang."""
    with listen(net.server) as listener:
        client = net.client.connect((net.far.end(net.server).ip, PORT), timeout=_PATIENCE)
        server, _ = listener.accept()
    with client, server:
        client.setblocking(False)
        server.setblocking(False)
        yield client, server


@contextlib.contextmanager
def loopback(
    host: Host, listen_at: str = "127.0.0.1", connect_to: str = "127.0.0.1", port: int = PORT
) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Connect a host to itself. Yield the client's end and the server's."""
    with listen(host, listen_at, port) as listener:
        client = host.connect((connect_to, port), timeout=_PATIENCE)
        server, _ = listener.accept()
    with client, server:
        yield client, server


def address_of(sock: socket.socket) -> Address:
    """Return the local address, as samples show it."""
    ip, port = sock.getsockname()[:2]
    return Address(ip.removeprefix("::ffff:"), port)


def sample_of(host: Host, sock: socket.socket) -> SocketSample:
    """Return sock_diag's sample of the one socket of ``host`` with this local address."""
    with contextlib.closing(host.socket_reader()) as reader:
        found = [sample for sample in reader.connections() if sample.local == address_of(sock)]
    assert len(found) == 1, found
    return found[0]


def ip_counter(host: Host, name: str) -> int:
    """Return a counter of IPv4 packets, by its name in /proc/net/snmp (RFC 1213)."""
    with host.entered():
        names, values = re.findall(r"^Ip: (.*)$", Path("/proc/thread-self/net/snmp").read_text(), re.MULTILINE)
    return int(dict(zip(names.split(), values.split(), strict=True))[name])


def fill(sock: socket.socket) -> int:
    """Send until the kernel takes no more. Return the number of bytes."""
    count = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            count += sock.send(bytes(1 << 16))
    return count


def stall(sender: socket.socket) -> int:
    """Send until the window of a peer that reads nothing is closed, with bytes queued. Return the bytes taken.

    Bytes that the kernel takes at first may all fit into the peer's buffer, and be gone a moment later. Acknowledging
    them does not end it either: a window too small for a whole segment is only used by the first probe.
    """
    taken = 0

    def is_shut() -> bool:
        nonlocal taken
        taken += fill(sender)
        info = tcp_info.parse(sender.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, tcp_info.MAX_SIZE))
        return bool(info.notsent) and not info.unacked and info.snd_wnd == 0

    eventually(is_shut, "the window is shut")
    return taken


def receive(sock: socket.socket, count: int) -> bytes:
    """Return the next ``count`` bytes, however they are segmented."""
    sock.settimeout(_PATIENCE)
    data = b""
    while len(data) < count:
        chunk = sock.recv(count - len(data))
        assert chunk, f"the connection ended after {len(data)} of {count} bytes"
        data += chunk
    return data


def eventually(condition: Callable[[], bool], what: str, patience: float = _PATIENCE) -> None:
    """Wait until ``condition`` holds. Fail with ``what`` if it never does."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(_STEP)
