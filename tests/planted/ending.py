"""End sessions, each in its own way: ``python ending.py HOST PORT WAY``."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import sys
from collections.abc import Awaitable, Callable

from websockets.asyncio.server import ServerConnection, serve

#: Seconds of each server's timeout.
LIMIT = 10


def sock_of(connection: ServerConnection) -> socket.socket:
    sock: socket.socket = connection.transport.get_extra_info("socket")
    return sock


async def stream(connection: ServerConnection) -> None:
    while True:
        await connection.send(bytes(32_768))
        await asyncio.sleep(0.05)


async def wants_token(connection: ServerConnection) -> None:
    """Close with a code of its own if no token comes."""
    try:
        await asyncio.wait_for(connection.recv(), 3)
    except TimeoutError:
        await connection.close(4401, "send your token first")
    await stream(connection)


async def raises(connection: ServerConnection) -> None:
    """Serve for a while, then fail as a handler fails: the library closes with 1011 and prints a traceback."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stream(connection), LIMIT)
    raise ValueError("no such room: 'lobby'")


async def kernel_deadline(connection: ServerConnection) -> None:
    """Have the kernel end a connection that acknowledges nothing for too short a time."""
    sock_of(connection).setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, LIMIT * 1000)
    await stream(connection)


async def kernel_keepalive(connection: ServerConnection) -> None:
    """Have the kernel probe a silent connection, and say nothing."""
    sock = sock_of(connection)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 4)):
        sock.setsockopt(socket.IPPROTO_TCP, option, value)
    await connection.wait_closed()


async def write_deadline(connection: ServerConnection) -> None:
    """Close, with a FIN, a connection to which nothing could be written for too short a time."""
    while True:
        try:
            await asyncio.wait_for(connection.send(bytes(32_768)), LIMIT)
        except TimeoutError:
            sock_of(connection).shutdown(socket.SHUT_RDWR)
            return
        await asyncio.sleep(0.05)


async def resets(connection: ServerConnection) -> None:
    """Reset a connection whose client says nothing for a while."""
    try:
        async with asyncio.timeout(3 * LIMIT):
            await connection.recv()
    except TimeoutError:
        sock_of(connection).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.transport.abort()


async def crashes(connection: ServerConnection) -> None:
    """Die of a signal in the middle of a stream."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stream(connection), LIMIT)
    print("cuda: device lost", flush=True)
    os.abort()


async def chatters(connection: ServerConnection) -> None:
    """Print a lot, then fail."""
    for number in range(5000):
        print(f"frame {number} sent", flush=True)
        await connection.send(bytes(1000))
        await asyncio.sleep(0.002)
    print("room is full", flush=True)
    await connection.close(1008, "room is full")


async def reads_nothing(connection: ServerConnection) -> None:
    """Leave unread what comes, and stream."""
    connection.transport.pause_reading()
    await stream(connection)


async def pings_only(connection: ServerConnection) -> None:
    """Send nothing but the library's pings, every 20 s."""
    await connection.wait_closed()


WAYS: dict[str, Callable[[ServerConnection], Awaitable[None]]] = {
    handler.__name__: handler
    for handler in (
        wants_token,
        raises,
        kernel_deadline,
        kernel_keepalive,
        write_deadline,
        resets,
        crashes,
        chatters,
        pings_only,
        reads_nothing,
    )
}


async def main(host: str, port: str, way: str) -> None:
    ping = 20 if way == "pings_only" else None
    async with serve(WAYS[way], host, int(port), ping_interval=ping, compression=None) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
