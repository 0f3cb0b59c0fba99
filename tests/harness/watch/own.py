"""A server with one stalled session of its own. It runs ``halfopen watch`` on itself and prints the output.

``python own.py inside``: as this user. ``python own.py outside``: the server is in its own user and network namespace,
as in a container without root, and is watched from here.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys

WATCH = [sys.executable, "-m", "halfopen", "watch", "--once", "--json", "--pid"]


def serve() -> None:
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        client = stack.enter_context(socket.socket())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        client.connect(listener.getsockname())
        server = stack.enter_context(listener.accept()[0])
        server.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                server.send(bytes(65536))
        print("ready", flush=True)
        sys.stdin.read()


def watch(*under: str) -> int:
    command = [*under, sys.executable, __file__, "serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        return subprocess.run([*WATCH, str(server.pid)], check=False).returncode


def main() -> int:
    match sys.argv[1]:
        case "serve":
            serve()
            return 0
        case "inside":
            return watch()
        case _:
            script = 'ip link set lo up && exec "$0" "$@"'
            return watch("unshare", "--user", "--map-root-user", "--net", "sh", "-c", script)


if __name__ == "__main__":
    sys.exit(main())
