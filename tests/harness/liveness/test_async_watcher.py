"""The watcher of an event loop on real loopback connections, as any server on asyncio would use it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import re
import socket
import ssl
import sys
import textwrap
import threading
import time
from collections.abc import Coroutine
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import trustme
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from halfopen import liveness
from halfopen.liveness import AsyncWatch, AsyncWatcher, Death, async_watcher
from halfopen.liveness import watcher as threaded
from halfopen.liveness.reading import Reading, read
from tests.harness.liveness.async_connections import (
    GRACE,
    PATIENCE,
    POLL,
    Deaths,
    connected,
    fill,
    read_all,
    silent_client,
    until,
    watcher,
)


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 3 * PATIENCE))


@pytest.fixture(scope="module")
def tls() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return a server's and a client's context."""
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trustme.CA().issue_cert("x").configure_cert(server)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    return server, client


@pytest.mark.parametrize("has_tls", [False, True])
@pytest.mark.parametrize("kind", ["transport", "socket", "protocol", "extra info"])
def test_a_client_that_reads_nothing_is_reset(
    kind: str, has_tls: bool, tls: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    async def main() -> None:
        deaths = Deaths()
        async with connected(tls=tls if has_tls else None) as (transport, peer, client):
            watchable = {
                "transport": transport,
                "socket": transport.get_extra_info("socket"),
                "protocol": SimpleNamespace(transport=transport),
                "extra info": SimpleNamespace(get_extra_info=transport.get_extra_info),
            }[kind]
            with watcher().watch(watchable, on_dead=deaths):
                fill(transport)
                death = await deaths.wait()
                await peer.ended()
            with pytest.raises(ConnectionResetError):
                read_all(client)
        assert (death.reason, death.tcp_state) == ("send_stall", "ESTABLISHED")
        assert death.stall_s >= GRACE - 1e-3
        assert death.backlog_bytes > 0

    run(main())


def test_with_shutdown_the_kernel_keeps_what_was_queued() -> None:
    async def main() -> None:
        deaths = Deaths()
        async with connected() as (transport, peer, client):
            with watcher(reap="shutdown").watch(transport, on_dead=deaths):
                fill(transport)
                await deaths.wait()
                await peer.ended()
            read_all(client)  # without a reset

    run(main())


async def _session(connection: ServerConnection) -> None:
    with contextlib.suppress(ConnectionClosed):
        async for _ in connection:
            pass


def test_a_silent_client_is_pinged_and_ended_only_if_it_does_not_answer() -> None:
    """The dead client sets the time: the live one is left alone for longer than it takes to find two dead."""

    async def main() -> None:
        live, dead = Deaths(), Deaths()
        pings: list[str] = []
        one = watcher()

        async def handler(connection: ServerConnection) -> None:
            assert connection.request is not None
            is_live = connection.request.path == "/live"

            async def ask() -> object:
                pings.append(connection.request.path)  # type: ignore[union-attr]
                return await connection.ping()

            with one.watch(connection, on_dead=live if is_live else dead, ask=ask if is_live else None):
                await _session(connection)

        async with serve(handler, "127.0.0.1", 0, ping_interval=None) as server:
            port = server.sockets[0].getsockname()[1]
            async with connect(f"ws://127.0.0.1:{port}/live", ping_interval=None):
                async with silent_client(port):
                    await dead.wait()
                async with silent_client(port):
                    await until(lambda: len(dead.seen) == 2)
        assert {death.reason for death in dead.seen} == {"no_answer"}
        assert live.seen == []
        assert pings

    run(main())


async def find_dead(one: AsyncWatcher, count: int = 2) -> None:
    """Return once it has found so many silent clients, one after the other. Others are left alone for as long."""
    for _ in range(count):
        deaths = Deaths()
        async with connected() as (transport, _, _):
            with one.watch(transport, on_dead=deaths, ask=partial(transport.write, b"?")):
                await deaths.wait()


def test_an_answer_that_comes_before_the_kernel_is_seen_to_have_the_ping_counts() -> None:
    """The ping's task takes long, so that the answer has been there for some polls when it ends."""

    async def main() -> None:
        deaths, answered = Deaths(), asyncio.Event()
        async with connected() as (transport, _, client):

            async def ask() -> None:
                transport.write(b"?")
                if not answered.is_set():
                    client.send(b"!")
                    await until(lambda: _received(watch) > 0)
                    await asyncio.sleep(3 * POLL)
                    answered.set()
                else:
                    client.send(b"!")

            one = watcher()
            with one.watch(transport, on_dead=deaths, ask=ask) as watch:
                await answered.wait()
                await until(lambda: watch._asking is None)
                assert watch.rule._frames_at is None
                await find_dead(one)
                assert deaths.seen == []

    run(main())


def _received(watch: AsyncWatch) -> int:
    assert watch.sock is not None
    return Reading._make(read(watch.sock)).bytes_received


def test_a_ping_that_does_not_leave_is_no_question() -> None:
    """It waits in the server's own buffer, as behind a hidden one of TLS. The kernel shows no growth."""

    async def main() -> None:
        deaths, one = Deaths(), watcher()
        asked: list[int] = []
        async with connected() as (transport, _, _):
            with one.watch(transport, on_dead=deaths, ask=lambda: asked.append(1)) as watch:
                await find_dead(one)
                assert len(asked) > 1
                assert (deaths.seen, watch.rule._frames_at) == ([], None)

    run(main())


def test_a_ping_fails_and_the_others_are_watched_and_so_is_this_one(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async def fail_later() -> None:
            raise RuntimeError("no")

        def fail() -> None:
            raise RuntimeError("no")

        one, deaths = watcher(), Deaths()
        async with contextlib.AsyncExitStack() as stack:
            transports = []
            for ask in (fail, fail_later, fail):
                transport, _, _ = await stack.enter_async_context(connected())
                stack.enter_context(one.watch(transport, on_dead=deaths, ask=ask))
                transports.append(transport)
            await until(lambda: caplog.text.count("no ping for 127.0.0.1 port") == 3)
            await find_dead(one, 1)  # and that once a connection, not once a poll
            assert caplog.text.count("no ping for") == 3
            for transport in transports:
                fill(transport)
            await until(lambda: len(deaths.seen) == 3)

    run(main())


def test_a_callback_that_fails_ends_its_own_connection_and_no_other(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        def fail(_: Death) -> None:
            raise RuntimeError("no")

        one, deaths = watcher(), Deaths()
        async with connected() as (transport, peer, _), connected() as (other, _, _):
            with one.watch(transport, on_dead=fail), one.watch(other, on_dead=deaths):
                fill(transport)
                await peer.ended()
                fill(other)
                await deaths.wait()
        assert "on_dead failed" in caplog.text

    run(main())


class _FixedSocket:
    """A socket as uvloop shows it: its number stays, whatever becomes of the descriptor."""

    def __init__(self, number: int) -> None:
        self._number = number

    def fileno(self) -> int:
        return self._number


class _FixedTransport:
    """A transport with such a socket. It records that it is aborted."""

    def __init__(self, number: int) -> None:
        self._socket = _FixedSocket(number)
        self.aborted = 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._socket if name == "socket" else default

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        self.aborted += 1


def test_a_descriptor_used_again_never_ends_the_wrong_connection() -> None:
    """The number goes to a stalled connection, whose own watch must end it, and nothing else may."""

    async def main() -> None:
        wrong, right = Deaths(), Deaths()
        async with connected() as (transport, peer, _), connected() as (stalled, stalled_peer, _):
            number = os.dup(transport.get_extra_info("socket").fileno())
            fixed = _FixedTransport(number)
            one = watcher()
            with one.watch(fixed, on_dead=wrong) as watch:
                os.dup2(stalled.get_extra_info("socket").fileno(), number)
                fill(stalled)
                with one.watch(stalled, on_dead=right):
                    await right.wait()
                    await stalled_peer.ended()
                assert (wrong.seen, fixed.aborted, watch.over) == ([], 0, True)
                del watch, one
            gc.collect()
            os.fstat(number)  # still open: nobody has closed what is not his
            os.close(number)
            assert not peer.lost.done()

    run(main())


def test_a_connection_that_the_server_closes_is_watched_no_longer() -> None:
    async def main() -> None:
        deaths = Deaths()
        async with connected(reads=True) as (transport, peer, _):
            with watcher().watch(transport, on_dead=deaths) as watch:
                transport.close()
                await peer.ended()
                await until(lambda: watch.over)
        assert deaths.seen == []

    run(main())


def test_a_transport_that_cannot_finish_closing_is_aborted() -> None:
    """close() waits until what is queued has been sent, for ever if the client reads nothing."""

    async def main() -> None:
        deaths = Deaths()
        async with connected() as (transport, peer, _):
            with watcher().watch(transport, on_dead=deaths):
                fill(transport)
                transport.close()
                assert (await deaths.wait()).reason == "send_stall"
                await peer.ended()

    run(main())


def test_a_blocked_loop_is_no_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a stall began, the loop stands still for longer than the grace. The next poll must end nothing."""

    async def main() -> None:
        deaths = Deaths()
        polls: list[bool] = []
        look = AsyncWatch.look

        def counted(watch: AsyncWatch) -> None:
            look(watch)
            polls.append(watch.over)

        async with connected() as (transport, _, _):
            with watcher().watch(transport, on_dead=deaths) as watch:
                fill(transport)
                await until(lambda: watch.rule._quiet > POLL)  # the stall is settled
                monkeypatch.setattr(AsyncWatch, "look", counted)
                time.sleep(3 * GRACE)
                await until(lambda: polls)
                assert polls[0] is False
                await deaths.wait()  # and it is found all the same

    run(main())


def test_what_a_client_sent_before_it_closed_can_still_be_read_for_the_grace() -> None:
    async def main() -> None:
        deaths = Deaths()
        async with connected() as (transport, peer, client):
            transport.pause_reading()
            client.send(b"last words")
            client.shutdown(socket.SHUT_WR)
            with watcher().watch(transport, on_dead=deaths) as watch:
                death = await deaths.wait()
                await peer.ended()
            assert (death.reason, death.tcp_state) == ("peer_closed", "CLOSE_WAIT")
            assert watch.rule._closed_for >= GRACE - 1e-3

    run(main())


@pytest.mark.parametrize("is_excused", [True, False])
def test_a_client_whose_words_the_server_leaves_unread_is_no_silent_one(
    is_excused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its window shut, it cannot answer. Without the excuse it would be ended."""
    if not is_excused:
        monkeypatch.setattr(threaded, "leaves_input_unread", lambda _: False)

    async def main() -> None:
        deaths = Deaths()
        async with connected() as (transport, _, client):
            transport.pause_reading()
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while client.send(bytes(1 << 16)):
                    pass
            one = watcher()
            with one.watch(transport, on_dead=deaths, ask=lambda: transport.write(b"?")):
                if not is_excused:
                    assert (await deaths.wait()).reason == "no_answer"
                    return
                await find_dead(one)
                assert deaths.seen == []

    run(main())


def test_what_cannot_be_watched_is_refused_at_once() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        one = watcher()
        datagrams, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, ("127.0.0.1", 0))
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        unix, other = socket.socketpair()
        threads = SimpleNamespace(protocol_mutex=threading.Lock(), socket=unix)
        with unix, other, open(os.devnull) as null:
            for thing, error, text in [
                (object(), TypeError, "connection: AsyncWatcher cannot watch a builtins.object; pass its transport"),
                (threads, TypeError, "which has threads; use halfopen.liveness.Watcher"),
                (server, TypeError, "is no connection; use watch_listener"),
                (datagrams, ValueError, "is no TCP connection"),
                (unix, ValueError, "is no TCP connection"),
                (null, ValueError, "is no TCP connection"),
            ]:
                with pytest.raises(error, match=re.escape(text)):
                    one.watch(thing)  # type: ignore[arg-type]
        datagrams.close()
        server.close()
        async with connected() as (transport, _, _):

            async def on_dead(_: Death) -> None: ...

            with pytest.raises(TypeError, match="on_dead: a coroutine function is never awaited"):
                one.watch(transport, on_dead=on_dead)
            with one.watch(transport), pytest.raises(ValueError, match="already watched"), one.watch(transport):
                pass

    run(main())


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"grace": 0}, "grace: 0 is not a positive number; pass seconds, such as 30"),
        ({"poll": float("nan")}, "poll: nan is not"),
        ({"min_rate": -1.0}, "min_rate: -1.0 is not"),
    ],
)
def test_settings_without_a_meaning_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        AsyncWatcher(**options)


@pytest.mark.parametrize("how", ["closed", "gone"])
def test_a_connection_that_is_already_closed_is_accepted(how: str) -> None:
    async def main() -> None:
        async with connected(reads=True) as (transport, peer, _):
            transport.abort()
            await peer.ended()
            closed = transport if how == "closed" else SimpleNamespace(transport=None)
            with watcher().watch(closed) as watch:
                assert watch.over

    run(main())


def test_without_a_loop_it_says_so() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as client,
        pytest.raises(RuntimeError, match="no event loop runs here"),
        watcher().watch(client),
    ):
        pass


def test_one_watcher_may_serve_one_loop_after_another() -> None:
    one = watcher()

    async def main() -> None:
        deaths = Deaths()
        async with connected() as (transport, _, _):
            # Not left: as when a loop ends while a session is open.
            one.watch(transport, on_dead=deaths).__enter__()
            fill(transport)
            await deaths.wait()

    run(main())
    run(main())


def test_its_timer_lives_while_there_is_a_connection() -> None:
    async def main() -> None:
        one = watcher()
        async with connected(reads=True) as (transport, _, _):
            before = _timers()
            with one.watch(transport):
                await asyncio.sleep(3 * POLL)
                assert _timers() > before
            assert _timers() == before

    def _timers() -> int:
        scheduled = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
        return sum("AsyncWatcher" in repr(handle) and not handle.cancelled() for handle in scheduled)

    run(main())


def test_a_common_outage_is_over_once_the_last_session_is_left(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        one = watcher()
        one.common_outage._moment = time.monotonic()
        async with connected() as (transport, _, _):
            with one.watch(transport):
                assert one.common_outage.in_progress
            assert "the common outage is over" in caplog.text

    run(main())


def test_off_linux_it_does_nothing_and_says_so(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with connected(reads=True) as (transport, _, _):
            monkeypatch.setattr(sys, "platform", "darwin")
            monkeypatch.setattr(async_watcher, "BorrowedSocket", None)
            one = watcher()
            with one.watch(transport) as watch, one.watch(object()), one.watch_listener():  # type: ignore[arg-type]
                assert watch.over
            monkeypatch.undo()

    run(main())
    assert [record.message for record in caplog.records if "no watcher on darwin" in record.message] == [
        "no watcher on darwin: TCP_INFO is Linux's; dead clients stay"
    ]


def test_each_end_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        deaths = Deaths()
        async with connected() as (transport, _, client):
            port = client.getsockname()[1]
            with watcher().watch(transport, on_dead=deaths):
                fill(transport)
                death = await deaths.wait()
        assert (
            f"ended the connection of 127.0.0.1 port {port}: send_stall for {death.stall_s:.1f} s, "
            f"{death.backlog_bytes} bytes queued, ESTABLISHED"
        ) in caplog.messages

    with caplog.at_level(logging.INFO, "halfopen.liveness"):
        run(main())


@pytest.mark.parametrize("also_watched", [False, True])
def test_the_connections_of_a_listener_are_found_and_ended(also_watched: bool) -> None:
    async def main() -> None:
        found, own = Deaths(), Deaths()
        one = watcher()
        with one.watch_listener(on_dead=found) as listener:
            listener.start()  # once more
            async with connected() as (transport, peer, client), connected(reads=True) as (_, other, _):
                watching = one.watch(transport, on_dead=own) if also_watched else contextlib.nullcontext()
                with watching:
                    fill(transport)
                    death = await (own if also_watched else found).wait()
                    await peer.ended()
                    assert death.reason == "send_stall"
                with pytest.raises(ConnectionResetError):
                    read_all(client)
                assert not other.lost.done()
                assert len(found.seen) + len(own.seen) == 1

    run(main())


def test_a_listener_is_watched_no_longer_once_it_is_left() -> None:
    async def main() -> None:
        found, dead = Deaths(), Deaths()
        one = watcher()
        async with connected() as (transport, _, _), connected() as (other, _, _):
            with one.watch_listener(on_dead=found) as listener:
                await until(lambda: len(listener._watches) >= 2)
            fill(transport)
            with one.watch(other, on_dead=dead):
                fill(other)
                await dead.wait()
        assert found.seen == []

    run(main())


def test_the_example_in_its_docstring_ends_a_frozen_client() -> None:
    """Run as written, but with a shorter grace, with a client that never reads."""
    assert liveness.__doc__ is not None
    example = textwrap.dedent(liveness.__doc__.partition("::\n")[2].partition("\nIn a server with threads")[0])
    shorter = example.replace("grace=30.0, poll=2.0", f"grace={GRACE}, poll={POLL}")
    assert shorter != example

    async def main() -> None:
        left = asyncio.Event()

        async def serve_client(connection: ServerConnection) -> None:
            while True:
                await connection.send(bytes(65536))

        names: dict[str, Any] = {"serve_client": serve_client}
        exec(shorter, names)

        async def handler(connection: ServerConnection) -> None:
            try:
                await names["handler"](connection)
            except ConnectionClosed:
                left.set()

        async with (
            serve(handler, "127.0.0.1", 0, ping_interval=None) as server,
            silent_client(server.sockets[0].getsockname()[1]),
        ):
            await asyncio.wait_for(left.wait(), PATIENCE)

    run(main())
