"""Cost of watching ten thousand connections: the share of a core at a poll of 2 s, and the longest turn.

Then the time from the first to the last verdict if a thousand clients die at once, and the time that it takes to count
all sessions while they are dark at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import resource
import socket
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from multiprocessing.connection import Connection

from benchmarks.measuring import show
from halfopen.liveness import AsyncWatch, AsyncWatcher, Rule, Terms, Watch, Watcher
from halfopen.liveness.common_outage import CommonOutage
from halfopen.liveness.reading import Reading

CONNECTIONS = 10_000
POLL = 2.0
POLLS = 5
#: Number of connections sampled in one turn: a twentieth of all.
A_TURN = CONNECTIONS // 20
#: Number of clients that die at once.
A_TENTH = CONNECTIONS // 10
_BACKLOG = 4096
#: Something was sent and not acknowledged.
_DARK = Reading(
    state=1, probes=0, unacked=3, last_data_sent=0, last_data_recv=0, last_ack_recv=0, rtt=20_000, rttvar=5_000,
    bytes_acked=1, bytes_received=1, notsent=0, delivered=1, bytes_sent=1000, bytes_retrans=0, snd_wnd=65_536,
)  # fmt: skip


def run() -> None:
    print(f"Watching {CONNECTIONS:,} connections from one thread, and from an event loop, at a poll of {POLL:g} s")
    print(f"  {'':<44} {'of a core':>10} {'a look':>10} {'longest turn':>13}")
    with connections(CONNECTIONS) as (servers, order):
        _measure("nothing queued", servers)
        for server in servers:
            server.send(bytes(4000))
        order("read")
        _measure("something sent and read", servers)
        for server in servers:
            with contextlib.suppress(BlockingIOError):
                while server.send(bytes(65536)):
                    pass
        _measure("stalled behind a closed window", servers)
        asyncio.run(_measure_loop("the same, from an event loop", servers))
        asyncio.run(_measure_loop("the same, found among the descriptors", servers, is_listener=True))
    with connections(CONNECTIONS) as (servers, order):
        print(f"The last of {A_TENTH:,} verdicts, after the first, if so many clients die at once")
        print(f"  {'from one thread':<44} {show(_measure_deaths(servers, order)):>10}")
        print(f"  {'from an event loop':<44} {show(asyncio.run(_measure_deaths_in_loop(servers, order))):>10}")
    _measure_count()


def _measure_deaths(servers: list[socket.socket], order: Callable[[str], None]) -> float:
    ends: list[float] = []
    watcher = Watcher(grace=3600.0, poll=POLL, bound_rto=False)
    with contextlib.ExitStack() as watching:
        for server in servers:
            watching.enter_context(watcher.watch(server, lambda _: ends.append(time.monotonic())))
        time.sleep(2 * POLL)
        order("die")
        time.sleep(2 * POLL)
    assert len(ends) == A_TENTH
    return ends[-1] - ends[0]


async def _measure_deaths_in_loop(servers: list[socket.socket], order: Callable[[str], None]) -> float:
    ends: list[float] = []
    # A client that closed is left to its server for the grace.
    watcher = AsyncWatcher(grace=POLL, poll=POLL, bound_rto=False)
    with contextlib.ExitStack() as watching:
        for server in servers:
            watching.enter_context(watcher.watch(server, on_dead=lambda _: ends.append(time.monotonic())))
        await asyncio.sleep(2 * POLL)
        ends.clear()  # those that died before
        await asyncio.to_thread(order, "die")
        await asyncio.sleep(3 * POLL)
    assert len(ends) == A_TENTH
    return ends[-1] - ends[0]


def _measure_count() -> None:
    """Count sessions that are all dark: once to find out that they went dark at once, then once a poll."""
    terms = Terms(grace=30.0, poll=POLL)
    rules = [Rule(terms, 0.0) for _ in range(CONNECTIONS)]
    for rule in rules:
        # Something was sent at 100 s, again at 148 s, and no answer came since 99 s.
        for now, sent, heard in ((100.0, 0, 1000), (150.0, 2000, 51_000)):
            rule.look(_DARK._replace(last_data_sent=sent, last_ack_recv=heard, last_data_recv=heard), now)
    outage = CommonOutage(terms, lambda: [rule.darkness for rule in rules])
    logging.disable()
    first = _cpu(lambda: outage.spares(rules[0].darkness, 150.0))
    assert outage.in_progress
    later = [_cpu(partial(outage.review, now)) for now in (160.0, 170.0, 180.0)]
    logging.disable(logging.NOTSET)
    print(f"Counting {CONNECTIONS:,} sessions that are dark")
    print(f"  {'to find that they went dark at once':<44} {show(first):>10}")
    print(f"  {'once a poll, while that lasts':<44} {show(statistics.median(later)):>10}")


async def _measure_loop(name: str, servers: list[socket.socket], *, is_listener: bool = False) -> None:
    watcher = AsyncWatcher(grace=3600.0, poll=POLL, bound_rto=False)
    with contextlib.ExitStack() as watching:
        watches: list[AsyncWatch] = []
        if is_listener:
            watching.enter_context(watcher.watch_listener())
        else:
            watches = [watching.enter_context(watcher.watch(server)) for server in servers]
        await asyncio.sleep(2 * POLL)
        began, spent = time.monotonic(), time.process_time()
        await asyncio.sleep(POLLS * POLL)
        share = (time.process_time() - spent) / (time.monotonic() - began)
        looks = [_seconds(watches[first : first + A_TURN]) for first in range(0, len(watches), A_TURN)]
    if not looks:
        print(f"  {name:<44} {share:>9.2%}")
        return
    print(f"  {name:<44} {share:>9.2%} {show(statistics.median(looks) / A_TURN):>10} {show(max(looks)):>13}")


def _measure(name: str, servers: list[socket.socket]) -> None:
    # With such a long grace no client is found dead, so only the samples are measured.
    watcher = Watcher(grace=3600.0, poll=POLL, bound_rto=False)
    with contextlib.ExitStack() as watching:
        watches = [watching.enter_context(watcher.watch(server, lambda _: None)) for server in servers]
        time.sleep(POLL)  # the watcher takes the first samples by itself
        began, spent = time.monotonic(), time.process_time()
        time.sleep(POLLS * POLL)
        share = (time.process_time() - spent) / (time.monotonic() - began)
        looks = [_seconds(watches[first : first + A_TURN]) for first in range(0, CONNECTIONS, A_TURN)]
    print(f"  {name:<44} {share:>9.2%} {show(statistics.median(looks) / A_TURN):>10} {show(max(looks)):>13}")


def _seconds(watches: Sequence[Watch | AsyncWatch]) -> float:
    """CPU seconds of one turn: its connections one after the other, as in the watcher's thread."""

    def turn() -> None:
        for watch in watches:
            watch.look()

    return _cpu(turn)


def _cpu(work: Callable[[], object]) -> float:
    """CPU seconds of this thread."""
    began = time.thread_time()
    work()
    return time.thread_time() - began


@contextlib.contextmanager
def connections(count: int) -> Iterator[tuple[list[socket.socket], Callable[[str], None]]]:
    """Yield the servers' ends, and a function that sends an order to the clients' process.

    The clients have their own process because of the limit on open files.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    ours, theirs = multiprocessing.Pipe()
    with contextlib.ExitStack() as closing, socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        clients = multiprocessing.get_context("spawn").Process(
            target=_clients, args=(listener.getsockname(), count, theirs), daemon=True
        )
        clients.start()
        servers = [closing.enter_context(listener.accept()[0]) for _ in range(count)]
        for server in servers:
            server.setblocking(False)

        def order(word: str) -> None:
            ours.send(word)
            ours.recv()

        yield servers, order
        order("end")
        clients.join()


def _clients(address: tuple[str, int], count: int, orders: Connection) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    socks = []
    for _ in range(count):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        sock.connect(address)
        socks.append(sock)
    while (word := orders.recv()) != "end":
        if word == "read":
            for sock in socks:
                sock.recv(65536)
        else:
            for _ in range(A_TENTH):
                socks.pop().close()
        orders.send("done")
    orders.send("done")
