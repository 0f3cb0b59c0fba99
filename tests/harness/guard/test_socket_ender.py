"""The connection of a verdict is ended, and no other."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from halfopen.guard import socket_ender
from halfopen.guard.decision import GuardVerdict
from halfopen.guard.guarded_server import GuardedServer, Holder
from halfopen.guard.socket_ender import EndResult, SocketEnder
from halfopen.liveness.death import Death
from halfopen.liveness.descriptor import cookie
from halfopen.liveness.reading import Reading
from halfopen.netns.census import Census
from halfopen.netns.host import Host
from halfopen.netns.lab import Lab
from halfopen.netns.tcp_info import STATES
from tests.isolated import isolated
from tests.netns.network import PORT, eventually, listen, loopback, stall

LINGER = struct.Struct("ii")
#: State of a connection that its client has closed and its server has not (tcpi_state).
CLOSE_WAIT = STATES.index("CLOSE_WAIT")


def linger(sock: socket.socket) -> tuple[int, ...]:
    return LINGER.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER.size))


def verdict_on(census: Census, server: socket.socket, reason: str = "send_stall") -> GuardVerdict:
    port = server.getsockname()[1]
    (seen,) = (seen for seen in census.poll([port], whole=True).samples if seen.key == cookie(server))
    death = Death(reason, seen.outq, 10.0, seen.state)  # type: ignore[arg-type]
    return GuardVerdict(seen, Reading.of(seen.info), death, 10.0)


@contextlib.contextmanager
def taken() -> Iterator[Census]:
    with contextlib.closing(Census()) as census:
        yield census


@contextlib.contextmanager
def connected() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Yield the client's and the server's end of a connection in this network namespace."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        client.connect(listener.getsockname())
        server, _ = listener.accept()
        with server:
            server.setblocking(False)
            yield client, server


def end(census: Census, verdict: GuardVerdict, *means: socket_ender.Means) -> EndResult:
    ender = SocketEnder(census, GuardedServer(census, lambda: [os.getpid()]), means or ["duplicate"])
    (result,) = ender.end([verdict])
    return result


def test_a_stalled_connection_is_ended_and_nothing_of_it_stays() -> None:
    with taken() as census, connected() as (client, server):
        stall(server)
        verdict = verdict_on(census, server)
        result = end(census, verdict)
        assert (result.means, result.pid, result.why_not) == ("duplicate", os.getpid(), "")
        with pytest.raises(BrokenPipeError):
            server.send(b"more")
        assert linger(server) == (1, 0)
        server.close()
        eventually(lambda: client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0, "it is reset")
        assert census.reread([verdict.seen]) == []


def test_a_connection_that_moved_since_the_verdict_is_left_alone() -> None:
    with taken() as census, connected() as (client, server):
        stall(server)
        verdict = verdict_on(census, server)
        client.send(b"alive")
        eventually(lambda: bool(server.recv(1, socket.MSG_PEEK)), "it arrives")
        result = end(census, verdict)
        assert (result.means, result.why_not) == (None, "it has moved since")
        assert linger(server) == (0, 0)
        server.setblocking(True)
        assert server.recv(5) == b"alive"


def test_a_descriptor_that_was_reused_is_left_alone() -> None:
    with taken() as census, connected() as (_, server), connected() as (client, other):
        stall(server)
        verdict = verdict_on(census, server)
        holder = Holder(os.getpid(), server.fileno())
        os.dup2(other.fileno(), server.fileno())
        result = socket_ender._end_duplicate(verdict, holder)
        assert (result.means, result.why_not) == (None, "its descriptor is another socket's by now")
        other.send(b"x")
        assert client.recv(1) == b"x"
        assert linger(other) == (0, 0)


def test_a_descriptor_that_is_closed_or_no_socket_any_more_is_left_alone() -> None:
    with taken() as census, connected() as (_, server), open("/dev/null") as file:
        verdict = verdict_on(census, server)
        # A number that nothing else here gets.
        holder = Holder(os.getpid(), os.dup2(file.fileno(), 500))
        assert "Socket operation on non-socket" in socket_ender._end_duplicate(verdict, holder).why_not
        os.close(holder.number)
        assert "Bad file descriptor" in socket_ender._end_duplicate(verdict, holder).why_not
        assert "No such process" in socket_ender._end_duplicate(verdict, holder._replace(pid=1 << 22)).why_not


def test_a_connection_of_another_server_is_left_alone() -> None:
    with taken() as census, connected() as (_, server):
        stall(server)
        verdict = verdict_on(census, server)
        server_of_others = GuardedServer(census, lambda: [os.getppid()])
        (result,) = SocketEnder(census, server_of_others, ["duplicate", "sock_destroy"]).end([verdict])
        assert (result.means, result.why_not) == (None, "no process of the server holds it")
        assert linger(server) == (0, 0)


def test_the_holder_of_a_connection_that_is_only_reported_is_known() -> None:
    with taken() as census, connected() as (_, server):
        verdict = verdict_on(census, server)
        ender = SocketEnder(census, GuardedServer(census, lambda: [os.getpid()]), [])
        assert ender.find(verdict).pid == os.getpid()
        assert linger(server) == (0, 0)


@contextlib.contextmanager
def within(host: Host) -> Iterator[Census]:
    with host.entered(), contextlib.closing(Census()) as census:
        yield census


@isolated
def test_where_duplicates_are_forbidden_the_kernel_aborts_the_connection() -> None:
    with pytest.MonkeyPatch.context() as patch, Lab() as lab:

        def refuse(*_: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        patch.setattr("halfopen.netns.processes.duplicated", refuse)
        host = lab.host("host")
        with loopback(host) as (client, server), within(host) as census:
            server.setblocking(False)
            stall(server)
            verdict = verdict_on(census, server)
            refused = end(census, verdict)
            assert (refused.means, refused.is_forbidden) == (None, True)
            assert end(census, verdict, "duplicate", "sock_destroy").means == "sock_destroy"
            with pytest.raises(ConnectionAbortedError):
                server.send(b"more")
            assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            assert end(census, verdict, "sock_destroy").why_not == "it has ended by itself"


@isolated
def test_a_later_connection_between_the_same_addresses_is_not_aborted() -> None:
    with Lab() as lab:
        host = lab.host("host")
        with listen(host, "127.0.0.1") as listener, within(host) as census:
            client = host.connect(("127.0.0.1", PORT), timeout=20)
            server, _ = listener.accept()
            verdict, address = verdict_on(census, server), client.getsockname()
            for sock in (client, server):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER.pack(1, 0))
                sock.close()
            with socket.socket() as again:
                again.bind(address)
                again.connect(("127.0.0.1", PORT))
                later, _ = listener.accept()
                with later:
                    assert end(census, verdict, "sock_destroy").means is None
                    again.send(b"x")
                    assert later.recv(1) == b"x"


@dataclass
class Juggler:
    """A server that keeps its connections in a queue of descriptors (SCM_RIGHTS, unix(7)).

    Each has the same number in turn, for a moment. Meanwhile no other number leads to it.
    """

    pid: int
    queue: socket.socket

    def throw(self, sock: socket.socket) -> None:
        socket.send_fds(self.queue, [b"x"], [sock.fileno()])
        sock.close()


@contextlib.contextmanager
def juggling() -> Iterator[Juggler]:
    put, take = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with put, take:
        pid = os.fork()
        if not pid:
            while True:
                _, (number,), _, _ = socket.recv_fds(take, 1, 1)
                with socket.socket(fileno=number) as sock:
                    # The queue holds ten. Full of connections that were ended, it would stop both sides for ever.
                    if sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == CLOSE_WAIT:
                        socket.send_fds(put, [b"x"], [number])
        try:
            yield Juggler(pid, put)
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


@contextlib.contextmanager
def half_closed() -> Iterator[tuple[socket.socket, socket.socket]]:
    with connected() as (client, server):
        client.shutdown(socket.SHUT_WR)
        server.setblocking(True)
        assert server.recv(1) == b""
        yield client, server


def attack(rounds: int, *, knows_number: bool) -> dict[str, int]:
    """Judge one of a juggler's connections dead, round by round, and return the number of each result.

    With ``knows_number`` each round duplicates whatever has the number at that moment. Else it is looked up first.
    """
    counts = {"rounds": rounds, "ended": 0, "reused": 0, "wrong": 0}
    with contextlib.ExitStack() as stack:
        census, juggler = stack.enter_context(taken()), stack.enter_context(juggling())
        bystanders = [stack.enter_context(half_closed()) for _ in range(4)]
        ours = [(client, os.dup(server.fileno())) for client, server in bystanders]
        server_of_juggler = GuardedServer(census, lambda: [juggler.pid])
        ender, holder, verdict = SocketEnder(census, server_of_juggler, ["duplicate"]), None, None
        for _, server in bystanders:
            juggler.throw(server)
        for _ in range(rounds):
            if verdict is None:
                victim = contextlib.ExitStack()
                client, server = victim.enter_context(half_closed())
                verdict = verdict_on(census, server, "peer_closed")
                juggler.throw(server)
                while knows_number and holder is None:
                    (holder,) = server_of_juggler.holders([verdict.seen.inode]).get(verdict.seen.inode, [None])
            result = socket_ender._end_duplicate(verdict, holder) if holder else ender.end([verdict])[0]
            counts["reused"] += "another socket" in result.why_not
            if result.means:
                counts["ended"] += 1
                victim.close()
                verdict = None
        for client, number in ours:
            with socket.socket(fileno=number) as server:
                try:
                    server.send(b"x")
                    is_whole = client.recv(1) == b"x" and linger(server) == (0, 0)
                except OSError:
                    is_whole = False
                counts["wrong"] += not is_whole
    return counts


@pytest.mark.parametrize("knows_number", [True, False])
def test_descriptors_that_are_reused_between_verdict_and_action_are_not_touched(knows_number: bool) -> None:
    counts = attack(2_000, knows_number=knows_number)
    assert counts["wrong"] == 0, counts
    assert counts["reused"] or not knows_number, "the attack came in between"


@pytest.mark.exhaustive
@pytest.mark.parametrize("knows_number", [True, False])
def test_descriptors_reused_in_a_hundred_thousand_rounds_are_not_touched(knows_number: bool) -> None:
    counts = attack(100_000, knows_number=knows_number)
    assert counts["wrong"] == 0, counts
    assert counts["reused"], counts
    assert counts["ended"], counts


def test_without_the_cookie_the_attack_hits_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_ender, "_difference", lambda _verdict, _duplicate: "")
    counts = attack(2_000, knows_number=True)
    assert counts["wrong"], counts
