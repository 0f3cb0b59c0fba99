"""Servers of the guard's tests. ``python servers.py NAME`` prints its port, then streams to each client.

It prints ``ended N`` with the number of the session, in the order in which they came, once one has ended.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time

CHUNK = bytes(65536)
WORKERS = 2


def session(number: int, connection: socket.socket) -> None:
    """Send until that fails."""
    with connection:
        try:
            while True:
                connection.sendall(CHUNK)
                time.sleep(0.02)
        except OSError:
            pass
    print("ended", number, flush=True)


def accept(listener: socket.socket, first: int = 0) -> None:
    """Serve each client in a thread of its own."""
    number = first
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=session, args=(number, connection), daemon=True).start()
        number += 1


def plain(listener: socket.socket) -> None:
    accept(listener)


def forking(listener: socket.socket) -> None:
    """Have a process for each client."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    number = 0
    while True:
        connection, _ = listener.accept()
        if not os.fork():
            listener.close()
            session(number, connection)
            os._exit(0)
        connection.close()
        number += 1


def passing(listener: socket.socket) -> None:
    """Accept in one process, and pass each connection to another (SCM_RIGHTS)."""
    ours, theirs = socket.socketpair()
    if not os.fork():
        listener.close()
        ours.close()
        number = 0
        while True:
            _, (descriptor,), _, _ = socket.recv_fds(theirs, 1, 1)
            connection = socket.socket(fileno=descriptor)
            threading.Thread(target=session, args=(number, connection), daemon=True).start()
            number += 1
    while True:
        connection, _ = listener.accept()
        socket.send_fds(ours, [b"x"], [connection.fileno()])
        connection.close()


def reuseport(listener: socket.socket) -> None:
    """Have workers that each listen themselves on the one port (SO_REUSEPORT)."""
    for _ in range(WORKERS - 1):
        if not os.fork():
            address = listener.getsockname()
            listener.close()
            listener = listen(address[1])
            break
    accept(listener)


def prefork(listener: socket.socket) -> None:
    """Have workers that inherit the listener, under a parent that accepts nothing."""
    for _ in range(WORKERS):
        if not os.fork():
            accept(listener)
    listener.close()
    signal.pause()


def daemon(listener: socket.socket) -> None:
    """Go to the background."""
    if os.fork():
        os._exit(0)
    os.setsid()
    accept(listener)


def executing(listener: socket.socket) -> None:
    """Replace the program, and keep the listener (as a re-executing server does)."""
    listener.set_inheritable(True)
    os.execv(sys.executable, [sys.executable, __file__, "inherited", str(listener.fileno())])


def listen(port: int = 0) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen()
    return listener


KINDS = {each.__name__: each for each in (plain, forking, passing, reuseport, prefork, daemon, executing)}


def main() -> None:
    if sys.argv[1] == "inherited":
        accept(socket.socket(fileno=int(sys.argv[2])))
    listener = listen()
    print(listener.getsockname()[1], flush=True)
    KINDS[sys.argv[1]](listener)


if __name__ == "__main__":
    main()
