"""The watchdog by itself, on real TCP loopback sockets, as any sync server would use it."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import socket
import struct
import sys
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfopen.pod import watchdog
from halfopen.pod.watchdog import Death, Probe, StallRule, Watchdog, grace_from_environment, probe

GRACE = 0.6
POLL = 0.1
#: Seconds within which a due event comes, however busy the machine is.
PATIENCE = 60.0


@contextlib.contextmanager
def connection() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Open a connection with small buffers. Yield the server's end and the client's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        client.connect(listener.getsockname())
        server, _ = listener.accept()
    with server, client:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        yield server, client


def fill(server: socket.socket) -> None:
    """Send until nothing more fits, since the client does not read."""
    server.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            server.send(bytes(65536))
    server.setblocking(True)


class Heard:
    """Records the watchdog's calls."""

    def __init__(self) -> None:
        self.deaths: list[Death] = []
        self.called = threading.Event()

    def __call__(self, death: Death) -> None:
        self.deaths.append(death)
        self.called.set()


def test_a_peer_that_acknowledges_nothing_is_ended_as_a_send_stall() -> None:
    heard = Heard()
    with connection() as (server, _), Watchdog(server, heard, grace=GRACE, poll=POLL):
        fill(server)
        blocked = threading.Thread(target=_send_all, args=(server,))
        blocked.start()
        assert heard.called.wait(PATIENCE)
        blocked.join(PATIENCE)
        assert not blocked.is_alive(), "the shutdown wakes whoever sits in sendall"
    (death,) = heard.deaths
    assert death.reason == "send_stall"
    assert death.stall_s >= GRACE
    assert death.backlog_bytes > 0
    assert death.tcp_state == "ESTABLISHED"


def _send_all(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.sendall(bytes(1 << 20))


def test_an_idle_peer_is_left_alone() -> None:
    heard = Heard()
    with connection() as (server, client), Watchdog(server, heard, grace=GRACE, poll=POLL) as dog:
        # A peer that reads for longer than the grace, by its own count and not by a sleep of ours.
        reads = 0
        while reads * 0.05 < 3 * GRACE:
            server.send(b"x")
            client.recv(10)
            reads += not threading.Event().wait(0.05)
        dog.stop()
    assert heard.deaths == []


def test_a_peer_that_closed_is_ended_as_such() -> None:
    heard = Heard()
    with connection() as (server, client), Watchdog(server, heard, grace=GRACE, poll=POLL):
        client.close()
        assert heard.called.wait(PATIENCE)
    assert heard.deaths[0].reason == "peer_closed"
    assert heard.deaths[0].tcp_state == "CLOSE_WAIT"


def test_a_socket_closed_under_it_is_a_socket_error() -> None:
    heard = Heard()
    with connection() as (server, _), Watchdog(server, heard, grace=GRACE, poll=POLL):
        server.close()
        assert heard.called.wait(PATIENCE)
    assert heard.deaths[0].reason == "socket_error"


def test_a_descriptor_that_is_no_tcp_socket_is_a_socket_error() -> None:
    heard = Heard()
    ours, theirs = socket.socketpair()
    with ours, theirs, Watchdog(ours, heard, grace=GRACE, poll=POLL):
        assert heard.called.wait(PATIENCE)
    assert heard.deaths[0].reason == "socket_error"


def test_a_failing_callback_is_logged_and_the_socket_ended_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    called = threading.Event()

    def fail(_: Death) -> None:
        called.set()
        raise RuntimeError("no")

    with connection() as (server, client), Watchdog(server, fail, grace=GRACE, poll=POLL) as dog:
        fill(server)
        assert called.wait(PATIENCE)
        dog.stop()
        with pytest.raises(BrokenPipeError):
            server.sendall(b"x")
        client.close()
    assert "on_dead failed" in caplog.text


def test_it_never_raises_into_the_server(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = threading.Event()

    def broken(_: socket.socket) -> Probe:
        failed.set()
        raise ZeroDivisionError

    monkeypatch.setattr(watchdog, "probe", broken)
    with connection() as (server, _), Watchdog(server, Heard(), grace=GRACE, poll=POLL) as dog:
        assert failed.wait(PATIENCE)
        dog.stop()
    assert "this connection is no longer watched" in caplog.text


def test_off_linux_it_does_nothing_and_says_so(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    # Those of earlier tests may be just ending.
    before = set(threading.enumerate())
    with connection() as (server, _), Watchdog(server, Heard(), grace=GRACE, poll=POLL):
        assert not set(threading.enumerate()) - before
    assert "no watchdog on darwin" in caplog.text


def test_stopping_waits_until_the_socket_is_safe() -> None:
    with connection() as (server, _):
        dog = Watchdog(server, Heard(), grace=GRACE, poll=1000)
        dog.start()
        dog.stop()
        assert not any(thread.name == "watchdog" for thread in threading.enumerate())


def test_the_probe_tells_what_the_kernel_does() -> None:
    with connection() as (server, client):
        assert probe(server) == Probe("ESTABLISHED", 0, 0)
        server.sendall(b"x" * 1000)
        client.recv(1000)
        state, outq, acked = probe(server)
        assert (state, outq + (acked or 0)) == ("ESTABLISHED", 1000)


def test_a_kernel_with_a_short_tcp_info_is_asked_for_the_queue_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Old:
        def getsockopt(self, *_: int) -> bytes:
            return struct.pack("=B", 1) + bytes(103)  # Linux 3.2 returns 104 bytes

        def fileno(self) -> int:
            return 0

    monkeypatch.setattr(fcntl, "ioctl", lambda *_: struct.pack("i", 77))
    assert probe(Old()) == Probe("ESTABLISHED", 77, None)  # type: ignore[arg-type]


def seen(outq: int, acked: int | None) -> Probe:
    return Probe("ESTABLISHED", outq, acked)


@pytest.mark.parametrize(
    ("before", "after", "is_progress"),
    [
        (seen(10, 5), seen(10, 5), False),
        (seen(10, 5), seen(20, 5), False),
        (seen(10, 5), seen(10, 6), True),
        (seen(10, 5), seen(20, 6), True),
        (seen(10, 5), seen(9, 5), True),
        (seen(10, 5), seen(0, 5), True),
        (seen(10, None), seen(10, None), False),
        (seen(10, None), seen(9, None), True),
    ],
)
def test_progress_is_an_acknowledged_byte_a_shorter_queue_or_an_empty_one(
    before: Probe, after: Probe, is_progress: bool
) -> None:
    rule = StallRule(1.0)
    rule.stalled_for(before, 1.0)
    assert rule.stalled_for(after, 5.0) == (0.0 if is_progress else pytest.approx(4.0))


@given(st.lists(st.tuples(st.floats(0.1, 5), st.integers(0, 5), st.integers(0, 3)), min_size=1))
def test_a_stall_is_never_longer_than_the_time_since_the_last_progress(steps: list[tuple[float, int, int]]) -> None:
    now, acked, previous = 0.0, 0, Probe("ESTABLISHED", 0, None)
    rule, progressed = StallRule(now), now
    for gap, outq, more in steps:
        now, acked = now + gap, acked + more
        current = seen(outq, acked)
        if not outq or outq < previous.outq or acked != previous.bytes_acked:
            progressed = now
        assert rule.stalled_for(current, now) == now - progressed
        previous = current


@pytest.mark.parametrize(
    ("value", "grace", "warns"),
    [
        (None, 30.0, False),
        ("45", 45.0, False),
        ("7.5", 7.5, False),
        ("5", 5.0, False),
        ("1", 5.0, False),
        ("-3", 5.0, False),
        ("", 30.0, True),
        ("soon", 30.0, True),
        ("nan", 30.0, True),
        ("inf", 30.0, True),
    ],
)
def test_the_grace_of_the_environment(
    value: str | None, grace: float, warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    environment = {} if value is None else {"DEMON_DEAD_CLIENT_STALL_S": value}
    with caplog.at_level(logging.WARNING):
        assert grace_from_environment(environment) == grace
    assert bool(caplog.records) == warns
