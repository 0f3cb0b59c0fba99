"""Stream, and then do one action to the client: ``python server.py HOST PORT DEED SECONDS``."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable

from websockets.sync.server import ServerConnection, serve

_held: list[socket.socket] = []


def reset(connection: ServerConnection) -> None:
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    # close() alone would not end it while a sendall in progress holds the socket.
    connection.socket.shutdown(socket.SHUT_RDWR)
    os.close(connection.socket.detach())


def shut_down_and_hold(connection: ServerConnection) -> None:
    _held.append(connection.socket.dup())
    connection.socket.shutdown(socket.SHUT_RDWR)


def half_close(connection: ServerConnection) -> None:
    _held.append(connection.socket.dup())
    connection.socket.shutdown(socket.SHUT_WR)


def close_frame(connection: ServerConnection) -> None:
    _held.append(connection.socket.dup())
    connection.socket.sendall(b"\x88\x02\x03\xe9")


def garbage(connection: ServerConnection) -> None:
    connection.socket.sendall(b"\xff" * 64)


def crash(_: ServerConnection) -> None:
    os._exit(3)


def keep(_: ServerConnection) -> None:
    pass


DEEDS: dict[str, Callable[[ServerConnection], None]] = {
    deed.__name__: deed for deed in (reset, shut_down_and_hold, half_close, close_frame, garbage, crash, keep)
}


def main() -> None:
    host, port, deed, seconds = sys.argv[1:]

    def handle(connection: ServerConnection) -> None:
        timer = threading.Timer(float(seconds), DEEDS[deed], [connection])
        timer.start()
        with contextlib.suppress(OSError):
            while True:
                connection.socket.sendall(b"\x82\x7e\x40\x00" + bytes(0x4000))
                time.sleep(0.02)
        threading.Event().wait()

    with serve(handle, host, int(port), ping_interval=None) as server:
        server.serve_forever()


main()
