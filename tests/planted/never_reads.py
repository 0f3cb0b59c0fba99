"""Stream and never read: ``never_reads.py HOST PORT``.

Ends clients that block a write for 20 s, and those whose kernel answers nothing for 30 s.
"""

from __future__ import annotations

import base64
import hashlib
import socket
import struct
import sys
import threading
import time

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#: Seconds a write may block, and milliseconds without an answer.
_BLOCKED, _UNANSWERED = 20, 30_000
_FRAME = b"\x82\x7e" + struct.pack(">H", 32 * 1024) + bytes(32 * 1024)


def shake_hands(connection: socket.socket) -> None:
    request = b""
    while b"\r\n\r\n" not in request:
        request += connection.recv(65536)
    headers = dict(line.lower().split(b": ", 1) for line in request.split(b"\r\n") if b": " in line)
    key = request[request.lower().index(headers[b"sec-websocket-key"]) :].split(b"\r\n")[0]
    accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
    connection.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def stream(connection: socket.socket) -> None:
    with connection:
        shake_hands(connection)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _BLOCKED, 0))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNANSWERED)
        try:
            while True:
                connection.sendall(_FRAME)
                time.sleep(0.1)
        except OSError:
            pass


with socket.create_server((sys.argv[1], int(sys.argv[2]))) as listening:
    while True:
        accepted, _ = listening.accept()
        threading.Thread(target=stream, args=(accepted,), daemon=True).start()
