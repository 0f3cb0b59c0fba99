"""Connections that this process accepted, found among its descriptors."""

from __future__ import annotations

import errno
import logging
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from halfopen.liveness import sockets_of_process
from halfopen.liveness.sockets_of_process import AcceptedSockets


def scan(sockets: AcceptedSockets, parts: int = 4) -> set[int]:
    """Return the descriptors that a complete scan finds; one begins when nothing is left of the last."""
    return {sock.fileno() for _ in range(parts) for sock in sockets.scan_part(parts)}


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def test_a_connection_is_found_once_and_others_are_not(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    one, other = socket.socketpair()
    sockets = AcceptedSockets(port)
    with one, other, socket.create_connection(("127.0.0.1", port)) as client:
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.fileno() in scan(sockets)
            assert client.fileno() not in scan(sockets)
            assert scan(sockets) == set()


@pytest.mark.parametrize("is_limited", [True, False])
def test_a_port_limits_it_to_its_connections(listener: socket.socket, is_limited: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as second:
        sockets = AcceptedSockets(listener.getsockname()[1] if is_limited else None)
        with socket.create_connection(second.getsockname()), second.accept()[0] as accepted:
            assert (accepted.fileno() in scan(sockets)) is not is_limited


def test_a_descriptor_that_is_used_again_is_found_again(listener: socket.socket) -> None:
    sockets = AcceptedSockets(listener.getsockname()[1])
    numbers = []
    for _ in range(2):
        with socket.create_connection(listener.getsockname()):
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.fileno() in scan(sockets)
                numbers.append(accepted.fileno())
    assert numbers[0] == numbers[1]


def test_connections_are_found_however_late_their_listener_is_found(listener: socket.socket) -> None:
    """The listener has the higher number, so the scan comes by it later."""
    low = socket.create_server(("127.0.0.1", 0))
    with socket.create_connection(listener.getsockname()):
        accepted = listener.accept()[0]
        port = listener.getsockname()[1]
        low.close()  # a number below that of the accepted one is free now
        moved = listener.dup()
        sockets = AcceptedSockets(port)
        with accepted, moved:
            assert accepted.fileno() in scan(sockets) | scan(sockets)


def test_without_a_listener_it_warns_once(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    sockets = AcceptedSockets(port)
    with caplog.at_level(logging.WARNING, "halfopen.liveness"):
        for _ in range(12):
            scan(sockets)
    assert caplog.messages == [f"watch_listener: nothing in this process listens on port {port}; dead clients stay"]


def test_without_a_free_descriptor_it_still_finds_them(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Path) -> Iterator[Path]:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(Path, "iterdir", fail)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 256))
    with socket.create_connection(listener.getsockname()), listener.accept()[0] as accepted:
        assert accepted.fileno() in scan(AcceptedSockets(listener.getsockname()[1]))


def test_without_proc_it_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sockets_of_process, "_DESCRIPTORS", tmp_path / "none")
    with pytest.raises(ValueError, match=r"watch_listener: .*none is not there; mount /proc"):
        AcceptedSockets(None)
