"""Borrowed sockets: the right connection, or none, and never a closed descriptor of somebody else."""

from __future__ import annotations

import errno
import gc
import os
import select
import socket

import pytest

from halfopen.liveness.descriptor import BorrowedSocket
from tests.harness.liveness.async_connections import read_all
from tests.harness.pod.test_watchdog import connection, fill


def is_open(sock: socket.socket) -> bool:
    """True if a connection was neither closed nor reset."""
    poller = select.poll()
    poller.register(sock, select.POLLRDHUP)
    return not poller.poll(0)


def test_it_never_closes_the_descriptor() -> None:
    with connection() as (server, client):
        for _ in range(2):
            BorrowedSocket(server.fileno())
            gc.collect()
        with BorrowedSocket(server.fileno()):
            pass
        os.fstat(server.fileno())
        assert is_open(client)


def test_a_descriptor_used_again_is_another_socket_and_is_not_ended() -> None:
    with connection() as (server, client), connection() as (other, other_client):
        borrowed = BorrowedSocket(server.fileno())
        assert borrowed.is_same()
        os.dup2(other.fileno(), server.fileno())  # as if it had been closed, and its number given to another
        assert not borrowed.is_same()
        borrowed.end("reset")
        assert is_open(other_client)
        assert not is_open(client)


def test_a_closed_descriptor_is_no_error() -> None:
    with connection() as (server, _):
        borrowed = BorrowedSocket(server.fileno())
        server.close()
        assert not borrowed.is_same()
        borrowed.end("reset")


@pytest.mark.parametrize("scarce", [False, True])
def test_the_connection_is_ended_even_if_no_descriptor_is_free(scarce: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    if scarce:
        monkeypatch.setattr(os, "dup", fail)
    with connection() as (server, client):
        fill(server)
        BorrowedSocket(server.fileno()).end("reset")
        server.close()
        with pytest.raises(ConnectionResetError):
            read_all(client)


def test_what_is_no_socket_raises() -> None:
    with open(os.devnull) as file, pytest.raises(OSError, match="Socket operation on non-socket"):
        BorrowedSocket(file.fileno())


def test_tcp_is_told_from_others() -> None:
    with connection() as (server, _), BorrowedSocket(server.fileno()) as borrowed:
        assert borrowed.is_tcp()
    one, other = socket.socketpair()
    with one, other, BorrowedSocket(one.fileno()) as borrowed:
        assert not borrowed.is_tcp()
