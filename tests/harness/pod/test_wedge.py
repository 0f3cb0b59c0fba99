"""The incident in one process: the wedged threads, their lock, and the way to free them."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from websockets.version import version

from tests.harness.pod.pods import PodProcess, eventually, pod

FAST = ("--slice-size", "128KiB", "--slice-interval", "5ms")
#: Slices larger than all buffers: the first send to a client that does not read never returns, however slow the rest
#: is.
WEDGED = ("--slice-size", "16MiB")
MAJOR = int(version.split(".")[0])


@contextlib.contextmanager
def client_that_never_reads(port: int) -> Iterator[None]:
    """Shake hands and then leave the socket alone, as a stopped process does."""
    key = base64.b64encode(os.urandom(16)).decode()
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(
            f"GET /?client=frozen HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        assert sock.recv(12) == b"HTTP/1.1 101"
        yield


def hold_watchdog(server: PodProcess) -> None:
    """Hold it before there is a client, whose grace may otherwise end first."""
    server.say("hold-watchdog")
    server.log_line("watchdog_held")


def stack(server: PodProcess, thread: str) -> list[str]:
    """Return the functions that a thread is in, innermost first; empty if there is no such thread."""
    return next((frames for name, frames in server.get("/threads").items() if name.startswith(thread)), [])


def in_library(frames: list[str], function: str) -> bool:
    return any(f.startswith(f"{function} (") and "websockets" in f for f in frames)


def sends_with_the_lock_held(server: PodProcess) -> bool:
    # socket.sendall is C and has no Python frame. The innermost frame is the library's, inside its lock.
    frames = stack(server, "runner-")
    return bool(frames) and frames[0].startswith("send_data (") and in_library(frames, "send_context")


def keepalive_waits_for_the_lock(server: PodProcess) -> bool:
    threads = server.get("/threads").values()
    return any(
        frames[0].startswith("send_context (") and in_library(frames, "ping") and in_library(frames, "keepalive")
        for frames in threads
    )


def test_the_runner_sits_in_sendall_with_the_lock_held() -> None:
    with pod("--detector", "none", *FAST) as server, client_that_never_reads(server.port):
        eventually(lambda: sends_with_the_lock_held(server))
        assert server.get("/pool") == {"lockHeld": True}
        assert server.get("/healthz") == {"status": "healthy"}


def test_the_keepalive_waits_for_the_same_lock_where_there_is_one() -> None:
    """The installed version of the library behaves as docs/websockets.md says."""
    _, has_keepalive, waits, _ = documented(MAJOR)
    assert has_keepalive == ("yes" if MAJOR >= 15 else "none")
    detector = "tests.planted.impatient_ping" if has_keepalive == "yes" else "none"
    # A ping that still got out would wait for its pong instead.
    with pod("--detector", detector, *WEDGED) as server, client_that_never_reads(server.port):
        eventually(lambda: sends_with_the_lock_held(server))
        if has_keepalive == "yes":
            assert waits == "yes"
            eventually(lambda: sends_with_the_lock_held(server) and keepalive_waits_for_the_lock(server))
        else:
            threads = server.get("/threads").values()
            assert not any(in_library(frames, "keepalive") for frames in threads)


def documented(major: int) -> tuple[str, ...]:
    """Return the row of a major version in the table of docs/websockets.md."""
    text = (Path(__file__).parents[3] / "docs" / "websockets.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    (row,) = [row for row in rows if row[0] == str(major)]
    return tuple(row[1:])


def test_the_watchdog_frees_the_runner_the_seat_and_the_registry() -> None:
    with pod("--control", "--grace", "1s", "--poll", "200ms", *WEDGED) as server:
        hold_watchdog(server)
        with client_that_never_reads(server.port):
            eventually(lambda: sends_with_the_lock_held(server))
            server.say("release-watchdog")
            reaped = server.log_line("dead_client_reaped")
            assert reaped["reason"] == "send_stall"
            assert reaped["backlog_bytes"] > 0
            assert reaped["stall_s"] >= 1
            assert reaped["tcp_state"] == "ESTABLISHED"
            assert server.log_line("session_closed")["reason"] == "send_stall"
            eventually(lambda: not stack(server, "runner-") and not stack(server, "reader-"))
            assert server.get("/sessions") == []
            assert server.get("/pool") == {"lockHeld": False}
