"""The asyncio watcher in servers of others, of the versions that examples/requirements.txt names."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.liveness.async_connections import GRACE, PATIENCE, POLL, read_all
from tests.machine import needs_servers
from tests.servers import environment

pytestmark = needs_servers

HERE = Path(__file__).parent / "servers"
ASGI = {
    "uvicorn-websockets": "uvicorn in_asgi:app --port {port} --ws websockets --ws-ping-interval 600",
    "uvicorn-sansio": "uvicorn in_asgi:app --port {port} --ws websockets-sansio --ws-ping-interval 600",
    "uvicorn-wsproto-asyncio": "uvicorn in_asgi:app --port {port} --ws wsproto --loop asyncio",
    "hypercorn": "hypercorn in_asgi:app --bind 127.0.0.1:{port}",
    "granian": "granian --interface asgi in_asgi:app --port {port}",
    "daphne": "daphne in_asgi:app -p {port}",
}
OWN = ("websockets", "aiohttp", "tornado", "sanic")


@contextlib.contextmanager
def serving(name: str, **more: str) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """Run a server. Yield its port and its process."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ASGI.get(name, f"python in_{name}.py {{port}} {GRACE} {POLL}").format(port=port).split()
    root = Path(__file__).parents[3]
    variables = {
        "PYTHONPATH": str(root / "src"),
        "PYTHONUNBUFFERED": "1",
        "GRACE": str(GRACE),
        "POLL": str(POLL),
        "LISTEN": "session" if name == "daphne" else "lifespan",
        **more,
    }
    with subprocess.Popen(
        command,
        cwd=HERE,
        env=environment() | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield port, process
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # with its workers


def connect(port: int, path: str) -> socket.socket:
    """Shake hands for a WebSocket, with a small receive buffer."""
    deadline = time.monotonic() + PATIENCE
    while True:
        client = socket.socket()
        client.settimeout(PATIENCE)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        try:
            client.connect(("127.0.0.1", port))
            break
        except ConnectionRefusedError:
            client.close()
            assert time.monotonic() < deadline, "nothing listens"
            time.sleep(0.05)
    client.sendall(
        f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    assert client.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 101"
    return client


def wait_for(process: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    """Return the match in the first line of the server's output that has one."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if match := re.search(pattern, line):
            return match
    raise AssertionError("it ended without such a line:\n" + "".join(lines))


@pytest.mark.parametrize("name", [*ASGI, *OWN])
def test_a_client_that_reads_nothing_is_reset_and_one_that_reads_is_not(name: str) -> None:
    with serving(name) as (port, process), connect(port, "/live") as live:
        read = 0

        def count() -> None:
            nonlocal read
            with contextlib.suppress(OSError):
                while data := live.recv(1 << 20):
                    read += len(data)

        reading = threading.Thread(target=count)
        reading.start()
        with connect(port, "/frozen") as frozen:
            wait_for(process, r"^left /frozen$")
            with pytest.raises(ConnectionResetError):
                read_all(frozen)
        before = read
        deadline = time.monotonic() + PATIENCE
        while read == before:
            assert reading.is_alive(), "the live client was ended"
            assert time.monotonic() < deadline
            time.sleep(POLL)
        live.shutdown(socket.SHUT_RDWR)
        reading.join()


@pytest.mark.parametrize("name", OWN)
def test_a_client_that_answers_no_ping_is_ended(name: str) -> None:
    with serving(name) as (port, process), connect(port, "/quiet"):
        wait_for(process, r"^left /quiet$")


def test_a_client_of_another_port_is_not_found() -> None:
    """Or else the tests above would pass for another reason than the watcher."""
    with serving("hypercorn", PORT="1") as (port, process), connect(port, "/frozen") as frozen:
        wait_for(process, "nothing in this process listens on port 1; dead clients stay")
        assert frozen.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == b"\x01"  # TCP_ESTABLISHED
