"""Connections of an event loop for tests: a server on the loopback, and clients that do as little as they are told."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

from halfopen.liveness.async_watcher import AsyncWatcher
from halfopen.liveness.death import Death

GRACE = 0.6
POLL = 0.1
#: Seconds within which a due event comes, however busy the machine is.
PATIENCE = 60.0


class Deaths:
    """Records the watcher's calls."""

    def __init__(self) -> None:
        self.seen: list[Death] = []
        self._called = asyncio.Event()

    def __call__(self, death: Death) -> None:
        self.seen.append(death)
        self._called.set()

    async def wait(self) -> Death:
        """Return the first death."""
        await asyncio.wait_for(self._called.wait(), PATIENCE)
        return self.seen[0]


class Peer(asyncio.Protocol):
    """The server's end of a connection. It is told when the connection is lost."""

    def __init__(self) -> None:
        self.made: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.made.set_result(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.set_result(error)

    async def ended(self) -> None:
        """Return once the connection is lost."""
        await asyncio.wait_for(self.lost, PATIENCE)


@contextlib.asynccontextmanager
async def connected(
    *, tls: tuple[ssl.SSLContext, ssl.SSLContext] | None = None, reads: bool = False
) -> AsyncIterator[tuple[Any, Peer, socket.socket]]:
    """Yield a server's transport, its protocol, and the client's socket, which reads only if ``reads`` says so."""
    loop = asyncio.get_running_loop()
    peer = Peer()
    server = await loop.create_server(lambda: peer, "127.0.0.1", 0, ssl=tls[0] if tls else None)
    client: socket.socket = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)

    def connect() -> socket.socket:
        client.connect(server.sockets[0].getsockname())
        return tls[1].wrap_socket(client) if tls else client

    reading: asyncio.Future[None] | None = None
    try:
        joined = await loop.run_in_executor(None, connect)
        transport = await asyncio.wait_for(peer.made, PATIENCE)
        if reads:
            reading = loop.run_in_executor(None, _read_all, joined)
        yield transport, peer, joined
        transport.abort()
    finally:
        with contextlib.suppress(OSError):
            socket.socket.shutdown(joined, socket.SHUT_RDWR)
        if reading is not None:
            await reading
        joined.close()
        server.close()


def _read_all(client: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while client.recv(1 << 20):
            pass


@contextlib.asynccontextmanager
async def silent_client(port: int, path: str = "/") -> AsyncIterator[None]:
    """Shake hands for a WebSocket, and then leave the socket alone, as a stopped process does."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    cast("asyncio.Transport", writer.transport).pause_reading()
    try:
        yield
    finally:
        writer.transport.abort()


def read_all(client: socket.socket) -> None:
    """Read to the end, without TLS: what matters is how it ends."""
    while socket.socket.recv(client, 1 << 20):
        pass


def fill(transport: Any) -> None:
    """Write more than fits into the kernel's buffers."""
    transport.write(bytes(1 << 23))


def watcher(**options: Any) -> AsyncWatcher:
    """Return a watcher with the tests' grace and poll."""
    return AsyncWatcher(GRACE, POLL, **options)


async def until(condition: Callable[[], Any]) -> None:
    """Return once a condition holds, with the loop running meanwhile."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(POLL / 10)
