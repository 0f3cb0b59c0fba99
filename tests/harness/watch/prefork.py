"""A pre-fork server: a parent that listens, and two children that accept connections.

It prints its port and its children's ids, then keeps its connections until it is terminated.
"""

from __future__ import annotations

import os
import socket
import sys

CHILDREN = 2


def keep(listener: socket.socket) -> None:
    held = []
    while True:
        held.append(listener.accept())


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    children = []
    for _ in range(CHILDREN):
        pid = os.fork()
        if pid == 0:
            keep(listener)
        children.append(pid)
    print(listener.getsockname()[1], *children, flush=True)
    sys.stdin.read()
    for pid in children:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
