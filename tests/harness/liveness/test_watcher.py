"""The watcher on real loopback sockets, as any sync server would use it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
import trustme
from websockets.sync.server import serve

from halfopen import liveness
from halfopen.liveness import Death, Watcher, retransmissions
from halfopen.liveness.reading import Reading, read
from tests.harness.pod.pods import eventually
from tests.harness.pod.test_watchdog import PATIENCE, Heard, connection, fill
from tests.harness.pod.test_wedge import client_that_never_reads

GRACE = 0.6
POLL = 0.1


def test_a_peer_that_reads_nothing_is_ended_as_a_send_stall_and_leaves_nothing_in_the_kernel() -> None:
    heard = Heard()
    with connection() as (server, client):
        with Watcher(GRACE, POLL).watch(server, heard):
            fill(server)
            assert heard.called.wait(PATIENCE)
        # Closed as a server closes it: the death is reported before the connection is ended.
        server.close()
        with pytest.raises(ConnectionResetError):
            read_all(client)
    (death,) = heard.deaths
    assert (death.reason, death.tcp_state) == ("send_stall", "ESTABLISHED")
    assert death.stall_s >= GRACE - 1e-3
    assert death.backlog_bytes > 0


def read_all(sock: socket.socket) -> None:
    while sock.recv(1 << 20):
        pass


def test_who_sits_in_sendall_is_woken() -> None:
    heard = Heard()
    with connection() as (server, _), Watcher(GRACE, POLL).watch(server, heard):
        blocked = threading.Thread(target=_send_all, args=(server,))
        blocked.start()
        assert heard.called.wait(PATIENCE)
        blocked.join(PATIENCE)
        assert not blocked.is_alive()


def _send_all(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.sendall(bytes(1 << 22))


@pytest.fixture(scope="module")
def tls() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return a server's and a client's context."""
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trustme.CA().issue_cert("x").configure_cert(server)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    return server, client


def test_a_connection_with_tls_is_ended_without_a_byte_in_the_clear(
    tls: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    """A thread in sendall is woken too, and nothing that it had yet to send goes out unencrypted."""
    heard, raised = Heard(), threading.Event()
    with connection() as (plain_server, plain_client):
        with ThreadPoolExecutor() as pool:
            wrapping = pool.submit(tls[1].wrap_socket, plain_client)
            server = tls[0].wrap_socket(plain_server, server_side=True)

        def send() -> None:
            try:
                server.sendall(bytes(1 << 22))
            except OSError:
                raised.set()

        with wrapping.result(), server, Watcher(GRACE, POLL).watch(server, heard):
            threading.Thread(target=send).start()
            assert heard.called.wait(PATIENCE)
            assert raised.wait(PATIENCE)
            # The keys are still there. ssl.SSLSocket.shutdown() drops them, and a send at that moment would be
            # unencrypted.
            assert server._sslobj is not None  # type: ignore[attr-defined]
    assert heard.deaths[0].reason == "send_stall"


def test_who_says_nothing_is_asked_and_ended_for_not_answering() -> None:
    heard = Heard()
    with connection() as (server, client):

        def ask() -> bool:
            return bool(server.send(b"are you there?"))

        with Watcher(GRACE, POLL).watch(server, heard, ask=ask):
            assert heard.called.wait(PATIENCE)
        assert client.recv(14) == b"are you there?"
    assert heard.deaths[0].reason == "no_answer"


def test_who_answers_is_left_alone_and_who_does_not_ends() -> None:
    """The silent client sets the time: the live one is left alone for as long as it takes to find the other dead."""
    spared, ended = Heard(), Heard()
    asked = threading.Event()
    with connection() as (server, client), connection() as (other, _):

        def answer() -> None:
            with contextlib.suppress(OSError):
                while client.recv(1):
                    client.send(b"!")

        def ask() -> bool:
            asked.set()
            return bool(server.send(b"?"))

        def ask_other() -> bool:
            return bool(other.send(b"?"))

        answering = threading.Thread(target=answer)
        answering.start()
        one = Watcher(GRACE, POLL)
        with one.watch(server, spared, ask=ask), one.watch(other, ended, ask=ask_other):
            assert ended.called.wait(PATIENCE)
        server.shutdown(socket.SHUT_RDWR)
        answering.join()
    assert asked.is_set()
    assert spared.deaths == []


def test_all_connections_share_one_thread() -> None:
    before = watchers()
    with contextlib.ExitStack() as watching:
        one = Watcher(GRACE, POLL)
        for _ in range(50):
            server, _ = watching.enter_context(connection())
            watching.enter_context(one.watch(server, Heard()))
        assert len(watchers() - before) == 1


def test_its_thread_lives_while_there_is_a_connection_and_another_does_so_later() -> None:
    watcher = Watcher(GRACE, POLL)
    for _ in range(2):
        heard, before = Heard(), watchers()
        with connection() as (server, _client), watcher.watch(server, heard):
            (thread,) = watchers() - before
            fill(server)
            assert heard.called.wait(PATIENCE)
        thread.join(PATIENCE)
        assert not thread.is_alive()


def watchers() -> set[threading.Thread]:
    """Return the watchers' threads. Those of earlier tests may be just ending."""
    return {thread for thread in threading.enumerate() if thread.name == "watcher"}


def test_those_that_are_dead_are_told_apart_from_those_that_are_not() -> None:
    one = Watcher(GRACE, POLL)
    with contextlib.ExitStack() as watching:
        heard = [Heard() for _ in range(30)]
        clients = []
        for each in heard:
            server, client = watching.enter_context(connection())
            watching.enter_context(one.watch(server, each))
            clients.append(client)
        for client in clients[::3]:
            client.close()
        eventually(lambda: all(each.deaths for each in heard[::3]))
        assert [bool(each.deaths) for each in heard] == [number % 3 == 0 for number in range(30)]
        assert {each.deaths[0].reason for each in heard[::3]} == {"peer_closed"}


def test_a_socket_closed_under_it_is_a_socket_error() -> None:
    heard = Heard()
    with connection() as (server, _), Watcher(GRACE, POLL).watch(server, heard):
        server.close()
        assert heard.called.wait(PATIENCE)
    assert heard.deaths[0].reason == "socket_error"


def test_a_callback_that_fails_ends_its_own_connection_and_no_other(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: Death) -> None:
        raise RuntimeError("no")

    heard = Heard()
    one = Watcher(GRACE, POLL)
    with (
        connection() as (server, client),
        connection() as (other, other_client),
        one.watch(server, fail),
        one.watch(other, heard),
    ):
        client.close()
        eventually(lambda: "on_dead failed" in caplog.text)
        other_client.close()
        assert heard.called.wait(PATIENCE)


def test_a_failing_question_leaves_the_others_watched(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> bool:
        raise RuntimeError("no")

    heard = Heard()
    one = Watcher(GRACE, POLL)
    with (
        connection() as (server, _),
        connection() as (other, client),
        one.watch(server, Heard(), ask=fail),
        one.watch(other, heard),
    ):
        eventually(lambda: "this connection is no longer watched" in caplog.text)
        client.close()
        assert heard.called.wait(PATIENCE)


def test_stopping_from_within_the_callback_does_not_lock_up() -> None:
    stopped = threading.Event()

    def stop(_: Death) -> None:
        watch.stop()
        stopped.set()

    with connection() as (server, client):
        watch = Watcher(GRACE, POLL).watch(server, stop)
        with watch:
            client.close()
            assert stopped.wait(PATIENCE)


def test_a_connection_of_an_event_loop_is_refused_at_once_with_the_remedy() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        transport, _ = await loop.create_connection(asyncio.Protocol, *server.sockets[0].getsockname())
        one = Watcher(GRACE, POLL)
        for thing in (
            transport,
            transport.get_extra_info("socket"),
            SimpleNamespace(transport=transport),
        ):
            with pytest.raises(TypeError, match=r"sock: Watcher cannot watch a .*; use AsyncWatcher"):
                one.watch(thing, Heard())  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"sock: Watcher cannot watch a builtins.object; pass its TCP socket"):
            one.watch(object(), Heard())  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"ask: .* is no connection of websockets.sync; use AsyncWatcher"):
            liveness.ask(SimpleNamespace(transport=transport))
        transport.abort()
        server.close()

    asyncio.run(main())


def test_a_common_outage_is_over_once_the_last_session_is_left(caplog: pytest.LogCaptureFixture) -> None:
    watcher = Watcher(GRACE, POLL)
    watcher.common_outage._moment = time.monotonic()
    with connection() as (server, _), watcher.watch(server, Heard()):
        pass
    eventually(lambda: "the common outage is over" in caplog.text)


def test_off_linux_it_does_nothing_and_says_so(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    # Those of earlier tests may be just ending.
    before = set(threading.enumerate())
    with connection() as (server, _), Watcher(GRACE, POLL).watch(server, Heard()):
        assert not set(threading.enumerate()) - before
    assert "no watcher on darwin" in caplog.text


def test_a_reading_tells_what_the_kernel_does() -> None:
    with connection() as (server, client):
        before = Reading._make(read(server))
        server.sendall(bytes(1000))
        client.recv(1000, socket.MSG_WAITALL)
        client.sendall(bytes(10))
        eventually(lambda: Reading._make(read(server)).bytes_received == before.bytes_received + 10)
        after = Reading._make(read(server))
    assert after.state == 1
    assert after.bytes_acked + after.backlog == before.bytes_acked + 1000
    assert after.snd_wnd > 0
    assert after.rtt > 0


def test_an_old_kernels_short_answer_is_read_with_zeros() -> None:
    class Old:
        def getsockopt(self, *_: int) -> bytes:
            return b"\x01" + bytes(103)  # Linux 3.2 returns 104 bytes

    seen = Reading._make(read(Old()))  # type: ignore[arg-type]
    assert (seen.state, seen.snd_wnd, seen.backlog) == (1, 0, 0)


@contextlib.contextmanager
def retries(count: int, folder: Path, patch: pytest.MonkeyPatch) -> Iterator[None]:
    file = folder / "tcp_retries2"
    file.write_text(f"{count}\n")
    patch.setattr(retransmissions, "_RETRIES", file)
    yield


@pytest.mark.parametrize(
    ("outage", "longest", "count", "bound"),
    [
        (45.0, 90.0, 15, 11.25),
        (2.0, 4.0, 15, 1.0),
        (45.0, 90.0, 5, None),
        (600.0, 1200.0, 15, None),
        (45.0, 120.0, 15, 11.25),
        (45.0, 130.0, 15, None),
    ],
)
def test_retransmissions_are_bounded_where_that_ends_no_connection_too_soon(
    outage: float,
    longest: float,
    count: int,
    bound: float | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with retries(count, tmp_path, monkeypatch):
        assert retransmissions.bounded_rto(outage, longest) == bound


def test_the_bound_is_set_where_the_kernel_knows_it() -> None:
    with connection() as (server, _):
        try:
            before = server.getsockopt(socket.IPPROTO_TCP, 44)
        except OSError:
            pytest.skip("this kernel has no TCP_RTO_MAX_MS")
        with Watcher(30.0, 2.0).watch(server, Heard()):
            bound = server.getsockopt(socket.IPPROTO_TCP, 44)
    # The kernel rounds to its ticks of at most 10 ms.
    assert (bound == pytest.approx(11_250, abs=10), bound < before) == (True, True)


def test_the_example_in_its_docstring_ends_a_frozen_client(caplog: pytest.LogCaptureFixture) -> None:
    """Run as written, but with a shorter grace, with a client that never reads."""
    assert liveness.__doc__ is not None
    threaded = liveness.__doc__.partition("with threads")[2].partition("::\n")[2]
    example = "\n".join(line[4:] for line in threaded.splitlines() if line[:4] == "    ")
    shorter = example.replace("grace=30.0, poll=2.0", f"grace={GRACE}, poll={POLL}")
    assert shorter != example
    names: dict[str, object] = {"threading": threading, "next_frame": lambda: bytes(65536)}
    exec(shorter, names)
    left = threading.Event()

    def handler(connection: object) -> None:
        try:
            names["handler"](connection)  # type: ignore[operator]
        finally:
            left.set()

    with serve(handler, "127.0.0.1", 0) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        with caplog.at_level(logging.CRITICAL), client_that_never_reads(server.socket.getsockname()[1]):
            assert left.wait(PATIENCE)
        server.shutdown()
        serving.join()
