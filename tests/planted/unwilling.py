"""Accept no session, or none for long, each in its own way: ``python unwilling.py HOST PORT WAY``."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
import threading
from collections.abc import Callable

from websockets.server import ServerProtocol

Way = Callable[[socket.socket], None]


def refuse(sock: socket.socket) -> None:
    sock.recv(65536)
    sock.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")


def greet(sock: socket.socket) -> None:
    sock.sendall(b"220 mail.example ESMTP ready\r\n" * 3)
    sock.recv(65536)


def hang_up(_: socket.socket) -> None:
    pass


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def ignore(_: socket.socket) -> None:
    threading.Event().wait()


def dribble(sock: socket.socket) -> None:
    pause = threading.Event()
    for byte in b"HTTP/1.1 101 Switching Protocols\r\n" + b"X-Padding: 1\r\n" * 64:
        sock.sendall(bytes([byte]))
        pause.wait(1)


def crash(_: socket.socket) -> None:
    os._exit(3)


def accept_and(then: Way) -> Way:
    def way(sock: socket.socket) -> None:
        protocol = ServerProtocol()
        while not (events := protocol.events_received()):
            protocol.receive_data(sock.recv(65536))
        protocol.send_response(protocol.accept(events[0]))  # type: ignore[arg-type]
        for data in protocol.data_to_send():
            sock.sendall(data)
        then(sock)

    return way


def say_goodbye(sock: socket.socket) -> None:
    sock.sendall(b"\x88\x02\x03\xe8")
    sock.recv(65536)


WAYS: dict[str, Way] = {
    "refuse": refuse,
    "greet": greet,
    "hang_up": hang_up,
    "reset": reset,
    "ignore": ignore,
    "dribble": dribble,
    "crash": crash,
    "accept_and_hang_up": accept_and(hang_up),
    "accept_and_reset": accept_and(reset),
    "accept_and_say_goodbye": accept_and(say_goodbye),
    "accept_and_crash": accept_and(crash),
    "accept_and_say_nothing": accept_and(ignore),
}


def main() -> None:
    host, port, way = sys.argv[1:]

    def serve(sock: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.closing(sock):
            WAYS[way](sock)

    listener = socket.create_server((host, int(port)))
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


main()
