"""The connections that belong to a guarded server."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Iterator

import pytest

from halfopen.errors import InputError
from halfopen.guard import guarded_server
from halfopen.guard.guarded_server import GuardedServer, Holder
from halfopen.netns.census import Census
from halfopen.netns.lab_errors import LabError
from halfopen.netns.sockets import Address


@pytest.fixture
def census() -> Iterator[Census]:
    with contextlib.closing(Census()) as made:
        yield made


@contextlib.contextmanager
def child() -> Iterator[int]:
    """Fork a process that stays until the context is left."""
    pid = os.fork()
    if not pid:
        signal.pause()
        os._exit(1)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def ours() -> list[int]:
    return [os.getpid()]


def surveyed(server: GuardedServer) -> list[int]:
    server.survey(is_thorough=True)
    return server.ports


def port_of(sock: socket.socket) -> int:
    port: int = sock.getsockname()[1]
    return port


def test_the_ports_of_a_server_are_those_that_its_processes_listen_on(census: Census) -> None:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        ports = {port_of(first), port_of(second)}
        assert ports <= set(surveyed(GuardedServer(census, ours)))
        assert surveyed(GuardedServer(census, ours, [port_of(first)])) == [port_of(first)]
        with child() as pid:
            assert ports <= set(surveyed(GuardedServer(census, lambda: [pid]))), "inherited by a worker"
            assert ports <= set(surveyed(guarded_server.of_process(census, pid)))
        assert surveyed(GuardedServer(census, list)) == []


def test_a_later_listener_is_found_without_a_thorough_survey(census: Census) -> None:
    server = GuardedServer(census, ours)
    server.survey(is_thorough=True)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.survey(is_thorough=False)
        assert port_of(listener) in server.ports


def test_a_port_stays_while_it_has_connections_though_nobody_listens_any_more(census: Census) -> None:
    server = GuardedServer(census, ours)
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        port = port_of(listener)
        accepted, _ = listener.accept()
        assert port in surveyed(server)
        listener.close()
        assert port in surveyed(server)
        for end in (client, accepted):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
        accepted.close()
    assert port not in surveyed(server)


def test_a_connection_at_another_address_of_the_port_is_not_the_servers(census: Census) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = port_of(listener)
        with (
            socket.create_server(("127.0.0.2", port)) as database,
            socket.create_connection(listener.getsockname()),
            socket.create_connection(database.getsockname()),
        ):
            server = GuardedServer(census, ours)
            server.addresses = frozenset({Address("127.0.0.1", port)})
            seen = census.poll([port], whole=True).samples
            covered = {each.local.ip: server.covers(each) for each in seen}
            assert covered == {"127.0.0.1": True, "127.0.0.2": False}
            for any_address in ("0.0.0.0", "::"):
                server.addresses = frozenset({Address(any_address, port)})
                assert all(server.covers(each) for each in seen)
            server.addresses = frozenset({Address("0.0.0.0", port + 1)})
            assert not any(server.covers(each) for each in seen)


def test_all_holders_of_a_socket_are_known(census: Census) -> None:
    with socket.socket() as sock, child() as pid:
        inode = os.fstat(sock.fileno()).st_ino
        server = GuardedServer(census, lambda: [os.getpid(), pid])
        assert server.holders([inode]) == {inode: [Holder(os.getpid(), sock.fileno()), Holder(pid, sock.fileno())]}
        assert server.holders([]) == {}


def test_a_process_that_listens_nowhere_is_refused(census: Census) -> None:
    with child() as pid, socket.create_server(("127.0.0.1", 0)) as listener:
        with pytest.raises(
            InputError, match=rf"--pid {pid}: .* listen on no TCP port; name the server's first process"
        ):
            guarded_server.of_process(census, pid)
        with pytest.raises(InputError, match="listen on no TCP port 1;"):
            guarded_server.of_process(census, os.getpid(), [1])
        assert guarded_server.of_process(census, os.getpid(), [port_of(listener)]).ports == [port_of(listener)]
    with pytest.raises(LabError, match="there is no process"):
        guarded_server.of_process(census, 1 << 22)


def test_a_port_is_guarded_whoever_listens(census: Census) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = port_of(listener)
        server = guarded_server.of_ports(census, [port])
        assert server.ports == [port]
        assert server.listener() == os.getpid()
    assert surveyed(server) == [port]
    assert not server.listens
    with pytest.raises(InputError, match=rf"--listen {port}: no server listens on this port here"):
        guarded_server.of_ports(census, [port])
